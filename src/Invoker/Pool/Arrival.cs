namespace Frusta.Invoker.Pool;

/// <summary>What became of an activation that arrived.</summary>
internal enum Arrival : byte
{
    /// <summary>A sandbox is taken for it: run it there.</summary>
    Run,

    /// <summary>A sandbox is taken for it that stands still: resume that, then run it there.</summary>
    Resume,

    Queued,

    /// <summary>Queued, and the room is to be asked for a sandbox.</summary>
    QueuedAsk,

    NamespaceFull,

    Full,

    /// <summary>These slots are being forgotten: look the key up again.</summary>
    Closed,
}
