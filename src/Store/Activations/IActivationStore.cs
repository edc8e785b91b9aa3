using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Store.Activations;

/// <summary>Where activation records are kept and listed from. A client always sees its own record, once.</summary>
public interface IActivationStore : IFinishedActivations
{
    /// <summary>Where the record is, or null when there is none in that namespace.</summary>
    ValueTask<RecordLocation?> LocateAsync(string namespaceName, ActivationId id, CancellationToken cancellationToken);

    /// <summary>Where the records of a list are: newest <c>start</c> first, then id descending.</summary>
    ValueTask<IReadOnlyList<RecordLocation>> LocateAsync(ActivationQuery query, CancellationToken cancellationToken);

    /// <summary>Reads records; those that retention has taken meanwhile are left out. The caller disposes them.</summary>
    ValueTask<RecordPage> ReadAsync(IReadOnlyList<RecordLocation> locations, CancellationToken cancellationToken);

    /// <summary>Counts what a list would find without skip and limit.</summary>
    ValueTask<long> CountAsync(ActivationQuery query, CancellationToken cancellationToken);
}

/// <summary>Which records a list is about.</summary>
/// <param name="Namespace">Namespace of the callers.</param>
/// <param name="FilterName"><c>name</c> or <c>package/name</c>; null is all.</param>
/// <param name="SinceMs">Least start, inclusive.</param>
/// <param name="UptoMs">Greatest start, inclusive.</param>
/// <param name="Skip">How many to leave out at the start.</param>
/// <param name="Limit">Greatest number to return.</param>
/// <param name="WithLogs">False where nobody looks at the logs, the last member of a record: a large record is then located only up to them.</param>
public sealed record ActivationQuery(
    string Namespace, string? FilterName = null, long? SinceMs = null, long? UptoMs = null, int Skip = 0, int Limit = 200, bool WithLogs = true);
