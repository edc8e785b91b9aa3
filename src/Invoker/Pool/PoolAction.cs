namespace Frusta.Invoker.Pool;

/// <summary>What the pool wants done. The driver of the pool carries it out and then reports the event that is named here.</summary>
internal enum PoolActionKind : byte
{
    /// <summary>Start a sandbox; then <see cref="Room.Started"/> or <see cref="Room.StartFailed"/>.</summary>
    Start,

    /// <summary>Give the stem cell the limits of its new owner; then <see cref="Room.Started"/> or <see cref="Room.StartFailed"/>.</summary>
    Specialise,

    /// <summary>End the sandbox; then <see cref="Room.Stopped"/>.</summary>
    Stop,

    /// <summary>Measure the memory that the idle sandbox uses; then <see cref="Room.Measured"/>.</summary>
    Measure,

    /// <summary>Measure how long the idle sandbox has used the cores; then <see cref="Room.Looked"/>.</summary>
    Look,

    /// <summary>Pause the idle sandbox, unless it was given an activation meanwhile; then <see cref="Room.Paused"/>.</summary>
    Pause,

    /// <summary>Run the activation in the sandbox; then <see cref="ActionSlots.Return"/>.</summary>
    Run,

    /// <summary>Resume the sandbox, then as <see cref="Run"/>.</summary>
    Resume,

    /// <summary>No sandbox comes up for the activation: answer it with that error.</summary>
    RefuseNoSandbox,

    /// <summary>The activation waited longer than it may: answer it with that error.</summary>
    RefuseTooOld,
}

internal readonly record struct PoolAction(PoolActionKind Kind, Slot? Slot, Waiting? Item);
