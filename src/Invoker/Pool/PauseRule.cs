namespace Frusta.Invoker.Pool;

/// <summary>
/// Decides which idle sandboxes are paused: all after a grace, and before that those that use the cores although they run no activation
/// (docs/decisions/0011-idle-sandboxes-stand-still.md). Called under the room's lock and that of the slots; no clock.
/// </summary>
internal sealed class PauseRule(RoomRules rules)
{
    private const long SecondUs = 1_000_000;
    private int _sweep;
    private int _turns = 1;
    private int _awake;
    private int _asked;

    /// <summary>A sweep over all sandboxes begins. Where there are more sandboxes than one sweep may look at, they take turns.</summary>
    public void BeginSweep()
    {
        _sweep++;
        _turns = Math.Max(1, (_awake + rules.LooksPerSweep - 1) / rules.LooksPerSweep);
        _awake = _asked = 0;
    }

    /// <summary>Asks for an idle sandbox to be paused or looked at, if its time has come. A sandbox without code is left alone: it uses no core.</summary>
    public void Sweep(Slot slot, long nowUs, List<PoolAction> actions)
    {
        var pause = slot.Pause;
        var idleUs = nowUs - slot.SinceUs;
        if (!slot.Initialised || pause.State != PauseState.Awake)
        {
            return;
        }

        if (pause.IsPossible && idleUs >= rules.PauseGraceUs)
        {
            Begin(slot, actions);
        }
        else if (idleUs >= rules.LookAfterUs)
        {
            _awake++;
            var isItsTurn = slot.Number % _turns == _sweep % _turns && _asked < rules.LooksPerSweep;
            if (isItsTurn && !pause.LookAsked && nowUs - pause.SeenUs >= rules.LookEveryUs)
            {
                _asked++;
                pause.LookAsked = true;
                pause.AskedInUs = slot.SinceUs;
                actions.Add(new PoolAction(PoolActionKind.Look, slot, null));
            }
        }
    }

    /// <summary>Takes the result of a look.</summary>
    /// <param name="slot">The sandbox.</param>
    /// <param name="cpuUs">Microseconds of the cores that it has used since its start, or null when they cannot be measured.</param>
    /// <param name="atUs">When the look was, in microseconds of the pool's clock.</param>
    /// <returns>True when it has used the cores although it has been idle since the look before.</returns>
    public bool Burns(Slot slot, long? cpuUs, long atUs)
    {
        var pause = slot.Pause;
        pause.LookAsked = false;
        if (cpuUs is not { } used || slot.State != SlotState.Idle || pause.State != PauseState.Awake || slot.SinceUs != pause.AskedInUs)
        {
            return false;
        }

        var burns = pause.SeenInUs == slot.SinceUs && (used - pause.SeenCpuUs) * SecondUs > rules.BurningCpuUs * (atUs - pause.SeenUs);
        (pause.SeenInUs, pause.SeenUs, pause.SeenCpuUs) = (slot.SinceUs, atUs, used);
        return burns;
    }

    /// <summary>Asks for the sandbox to be paused.</summary>
    public static void Begin(Slot slot, List<PoolAction> actions)
    {
        slot.Pause.State = PauseState.Pausing;
        actions.Add(new PoolAction(PoolActionKind.Pause, slot, null));
    }
}
