using Frusta.Contracts.Entities;
using Frusta.Contracts.Errors;
using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;
using Frusta.Runtimes;
using Microsoft.Extensions.Logging;

namespace Frusta.Invoker.Serve;

/// <summary>Serves and refuses the activations that the pool hands out.</summary>
internal interface IPoolClient
{
    /// <summary>The sandbox is this activation's until <see cref="ActionSlots.Return"/>.</summary>
    void Serve(Slot slot, QueuedActivation activation);

    /// <summary>Ends an activation that will not run, for a reason on the platform's side.</summary>
    void Refuse(QueuedActivation activation, string error);
}

/// <summary>
/// Carries out the decisions of the pool with <see cref="StartSandboxes"/>, <see cref="SandboxPauses"/> and the client. The pool itself has
/// neither clock nor threads; <see cref="PoolLooks"/> tells it when time has passed.
/// </summary>
internal sealed class PoolDriver : IDisposable
{
    private readonly ISandboxFactory _factory;
    private readonly PoolClock _clock;
    private readonly IPoolClient _client;
    private readonly Room _room;
    private readonly PoolEvents _events;
    private readonly ActionEntries _entries = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly StartSandboxes _starts;
    private readonly SandboxPauses _pauses;
    private readonly PoolLooks _looks;

    public PoolDriver(InvokerOptions options, ISandboxFactory factory, PoolClock clock, IPoolClient client, ILogger logger)
    {
        _factory = factory;
        _clock = clock;
        _client = client;
        _room = new Room(PoolRules.Of(options, factory));
        _events = new PoolEvents(_room, clock, Execute);
        _looks = new PoolLooks(options.Pool, _room, _entries, _events, clock);
        Timer = new RunTimer(clock, _looks.Tick);
        _starts = new StartSandboxes(options, factory, _entries, _events, clock, Timer, logger, _stopping.Token);
        _pauses = new SandboxPauses(_events, client, logger);
    }

    /// <summary>The timer of all deadlines, which also ticks for the pool.</summary>
    public RunTimer Timer { get; }

    /// <summary>False when the last starts have all failed.</summary>
    public bool StartsSucceed => _starts.Succeed;

    /// <summary>What the pool holds now.</summary>
    public PoolCounts Count() => _room.Count();

    /// <summary>Begins to look at the pool now and then. Stem cells are started in the background.</summary>
    public void Start() => _looks.Start();

    /// <summary>From here on no sandbox starts, and idle sandboxes are ended.</summary>
    public async Task CloseAsync()
    {
        await _stopping.CancelAsync();
        await _looks.DisposeAsync();
        _events.Tell(static (room, now, actions) => room.Close(now, actions));
    }

    public void Dispose()
    {
        Timer.Dispose();
        _stopping.Dispose();
    }

    /// <summary>The action as the pool knows it; null when its kind cannot run on this host.</summary>
    public ActionEntry? FindOrAdd(PoolKey key, ExecutableAction action, string namespaceName, out bool isNew)
    {
        isNew = false;
        return _entries.Find(key) ?? Add(key, action, namespaceName, out isNew);
    }

    /// <summary>Whether the pool knows an action with this document.</summary>
    public bool Knows(string documentId) => _entries.Knows(documentId);

    /// <summary>Ends the sandboxes of all revisions of the action but this one; null means that the action is deleted, and all end.</summary>
    public void Retire(string documentId, string? revision)
    {
        foreach (var entry in _entries.Of(documentId))
        {
            var retired = !string.Equals(entry.Action.Revision, revision, StringComparison.Ordinal);
            if (retired != entry.Slots.IsRetired)
            {
                _events.Tell((room, now, actions) => room.Retire(entry.Slots, retired, now, actions));
            }
        }
    }

    /// <summary>Resumes the paused sandbox and runs the activation in it.</summary>
    public void Resume(Slot slot, QueuedActivation activation) => _pauses.Resume(slot, activation);

    /// <summary>The action needs something of the room.</summary>
    public void Ask(ActionSlots slots)
    {
        var actions = new List<PoolAction>();
        _room.Ask(slots, _clock.NowUs, actions);
        Execute(actions);
    }

    /// <summary>The sandbox is not to be used again.</summary>
    public void Discard(Slot slot, bool ask)
    {
        var actions = new List<PoolAction>();
        _room.Discard(slot, ask, _clock.NowUs, actions);
        Execute(actions);
    }

    /// <summary>A sandbox has become idle while an action waited for room.</summary>
    public void Freed()
    {
        var actions = new List<PoolAction>();
        _room.Freed(_clock.NowUs, actions);
        Execute(actions);
    }

    private ActionEntry? Add(PoolKey key, ExecutableAction action, string namespaceName, out bool isNew)
    {
        isNew = false;
        if (_factory.Find(action.Kind).Family is not { } family)
        {
            return null;
        }

        (var entry, isNew) = _entries.GetOrAdd(key, () => new ActionEntry(
            action, namespaceName, _room.Add(key, family, (long)action.Limits.MemoryMb << 20, action.Limits.Instances ?? int.MaxValue)));
        return entry;
    }

    /// <summary>Carries out what the pool wants. Further actions that follow at once are appended to the same list.</summary>
    private void Execute(List<PoolAction> actions)
    {
        for (var i = 0; i < actions.Count; i++)
        {
            var (kind, slot, item) = actions[i];
            switch (kind)
            {
                case PoolActionKind.Start:
                    _ = _starts.StartAsync(slot!);
                    break;
                case PoolActionKind.Specialise:
                    Specialise(slot!, actions);
                    break;
                case PoolActionKind.Stop:
                    _ = _starts.StopAsync(slot!);
                    break;
                case PoolActionKind.Measure:
                    _room.Measured(slot!, ((LiveSandbox)slot!.Content!).Runnable.Sandbox.MeasureMemory(), _clock.NowUs, actions);
                    break;
                case PoolActionKind.Look or PoolActionKind.Pause:
                    _pauses.Add(actions[i]);
                    break;
                case PoolActionKind.Run:
                    _client.Serve(slot!, (QueuedActivation)item!);
                    break;
                case PoolActionKind.Resume:
                    _pauses.Resume(slot!, (QueuedActivation)item!);
                    break;
                case PoolActionKind.RefuseNoSandbox:
                    _client.Refuse((QueuedActivation)item!, ExecutionTexts.NoSandbox);
                    break;
                default:
                    var waitedMs = (_clock.NowUs - item!.ReceivedUs) / 1000;
                    _client.Refuse((QueuedActivation)item, $"Activation processing is not initiated for {waitedMs} ms");
                    break;
            }
        }
    }

    private void Specialise(Slot cell, List<PoolAction> actions)
    {
        if (_starts.TrySpecialise(cell))
        {
            _room.Started(cell, tookUs: 0, _clock.NowUs, actions);
        }
        else
        {
            _room.StartFailed(cell, wasCell: true, _clock.NowUs, actions);
        }
    }
}
