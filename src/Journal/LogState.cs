namespace Frusta.Journal;

/// <summary>Whether a log takes entries.</summary>
public enum LogState
{
    Open,

    /// <summary>The disk or <see cref="SegmentedLogOptions.MaxBytes"/> has no room for another segment. Ends when room is found again, which is logged.</summary>
    Full,

    /// <summary>A sync failed, so it is unknown which entries are on disk. Ends only with a restart.</summary>
    Failed,

    Closed,
}

/// <summary>The log did not take an entry, or cannot say that an entry is on disk.</summary>
public sealed class LogRefusedException(LogState state, string message, Exception? inner = null) : Frusta.Contracts.Messages.RecordRefusedException(message, inner)
{
    public LogState State { get; } = state;
}

/// <summary>An entry that was on disk is no longer readable. Only a person can decide what to do.</summary>
public sealed class LogDamagedException(string message, Exception? inner = null) : Frusta.Contracts.Messages.RecordRefusedException(message, inner);
