using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Store.Activations;

/// <summary>Keeps activation records and lists them. Once a client has its answer, it finds the record, and finds it once.</summary>
public interface IActivationStore : IFinishedActivations
{
    /// <summary>Finds a record; null when there is none in that namespace.</summary>
    ValueTask<RecordLocation?> LocateAsync(string namespaceName, ActivationId id, CancellationToken cancellationToken);

    /// <summary>Finds the records of a list: newest <c>start</c> first, then id descending.</summary>
    ValueTask<IReadOnlyList<RecordLocation>> LocateAsync(ActivationQuery query, CancellationToken cancellationToken);

    /// <summary>Reads records; those that were dropped for their age meanwhile are left out. The caller disposes the page.</summary>
    ValueTask<RecordPage> ReadAsync(IReadOnlyList<RecordLocation> locations, CancellationToken cancellationToken);

    /// <summary>Counts the records of a list without skip and limit.</summary>
    ValueTask<long> CountAsync(ActivationQuery query, CancellationToken cancellationToken);
}

/// <summary>The records that a list is about.</summary>
/// <param name="Namespace">Namespace of the callers.</param>
/// <param name="FilterName"><c>name</c> or <c>package/name</c>; null is all.</param>
/// <param name="SinceMs">Least start in milliseconds since 1970, inclusive; null for no bound.</param>
/// <param name="UptoMs">Greatest start in milliseconds since 1970, inclusive; null for no bound.</param>
/// <param name="Skip">How many to leave out at the start.</param>
/// <param name="Limit">Greatest number to return.</param>
/// <param name="WithLogs">False when the caller does not need the logs, the last member of a record: a large record is then read only up to them.</param>
public sealed record ActivationQuery(
    string Namespace, string? FilterName = null, long? SinceMs = null, long? UptoMs = null, int Skip = 0, int Limit = 200, bool WithLogs = true);
