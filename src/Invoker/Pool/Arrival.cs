namespace Frusta.Invoker.Pool;

/// <summary>What became of an activation that arrived.</summary>
internal enum Arrival : byte
{
    /// <summary>A sandbox is taken for it: run it there.</summary>
    Run,

    /// <summary>A paused sandbox is taken for it: resume the sandbox, then run the activation there.</summary>
    Resume,

    Queued,

    /// <summary>Queued, and the room is to be asked for a sandbox.</summary>
    QueuedAsk,

    NamespaceFull,

    Full,

    /// <summary>The pool forgets these slots: look the key up again.</summary>
    Closed,
}
