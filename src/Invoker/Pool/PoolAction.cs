namespace Frusta.Invoker.Pool;

/// <summary>What the pool wants done. Whoever drives it carries these out and reports back with the event named.</summary>
internal enum PoolActionKind : byte
{
    /// <summary>Start a sandbox; then <see cref="Room.Started"/> or <see cref="Room.StartFailed"/>.</summary>
    Start,

    /// <summary>Set the stem cell's limits to those of its new owner; then <see cref="Room.Started"/> or <see cref="Room.StartFailed"/>.</summary>
    Specialise,

    /// <summary>End the sandbox; then <see cref="Room.Stopped"/>.</summary>
    Stop,

    /// <summary>Measure what the idle sandbox uses; then <see cref="Room.Measured"/>.</summary>
    Measure,

    /// <summary>Find out what the idle sandbox has used of the cores; then <see cref="Room.Looked"/>.</summary>
    Look,

    /// <summary>Have the idle sandbox stand still, unless it was given an activation meanwhile; then <see cref="Room.Paused"/>.</summary>
    Pause,

    /// <summary>Run the activation in the sandbox; then <see cref="ActionSlots.Return"/>.</summary>
    Run,

    /// <summary>Resume the sandbox, then as <see cref="Run"/>.</summary>
    Resume,

    /// <summary>No sandbox comes up for the activation: answer it so.</summary>
    RefuseNoSandbox,

    /// <summary>The activation waited longer than it may: answer it so.</summary>
    RefuseTooOld,
}

internal readonly record struct PoolAction(PoolActionKind Kind, Slot? Slot, Waiting? Item);
