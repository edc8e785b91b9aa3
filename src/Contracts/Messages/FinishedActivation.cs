using Frusta.Contracts.Buffers;
using Frusta.Contracts.Names;

namespace Frusta.Contracts.Messages;

/// <summary>The end of one activation: its record as JSON, and the members that a store and a waiting call need without reading the JSON.</summary>
/// <remarks>
/// The record is in the form that <c>GET .../activations/ID</c> answers, compact, and its last member is <c>logs</c>:
/// <c>{...,"logs":[...]}</c>. A blocking answer is therefore the record up to <see cref="LogsOffset"/>, then <c>[]}</c>.
/// </remarks>
public sealed class FinishedActivation
{
    public required ActivationId Id { get; init; }

    /// <summary>Namespace of the caller, in which the record is listed.</summary>
    public required string Namespace { get; init; }

    /// <summary>The name that the list filter <c>name</c> compares: <c>name</c>, or <c>package/name</c> with the binding's name where one was used.</summary>
    public required string FilterName { get; init; }

    /// <summary>Milliseconds since 1970.</summary>
    public required long StartMs { get; init; }

    /// <summary>Milliseconds since 1970; 0 for a trigger, which has no end.</summary>
    public required long EndMs { get; init; }

    public required ActivationStatus Status { get; init; }

    /// <summary>The record. A callee that keeps it beyond its call retains it.</summary>
    public required PooledBuffer Record { get; init; }

    /// <summary>Byte of the record at which the result value begins; 0 when there is none.</summary>
    public int ResultOffset { get; init; }

    public int ResultLength { get; init; }

    /// <summary>Byte of the record at which the <c>[</c> of the logs stands.</summary>
    public required int LogsOffset { get; init; }

    /// <summary>False when this record is not kept, because the limits of its namespace say so.</summary>
    public bool Store { get; init; } = true;

    public ReadOnlySpan<byte> Result => Record.Span.Slice(ResultOffset, ResultLength);

    public bool ResultIsArray => ResultLength > 0 && Record.Span[ResultOffset] == (byte)'[';
}

/// <summary>Keeps the records of finished activations. Implemented by the activation store.</summary>
public interface IFinishedActivations
{
    /// <summary>False while records could be refused: the disk is full, a sync failed, or too many wait to be indexed. Then no new activation is admitted.</summary>
    bool Healthy { get; }

    /// <summary>
    /// Appends the record to the journal; when this returns, the record survives a kill of the process. False for a second record of one id, which is not
    /// kept.
    /// </summary>
    /// <exception cref="RecordRefusedException">The store cannot take the record now.</exception>
    bool Append(FinishedActivation finished);

    /// <summary>Completes when all records appended up to now are on disk.</summary>
    ValueTask FlushAsync(CancellationToken cancellationToken);

    /// <summary>True when a record of this id is kept.</summary>
    ValueTask<bool> ContainsAsync(ActivationId id, CancellationToken cancellationToken);
}

/// <summary>A store or a log does not take a record: it has no room, a sync failed, or too many records wait.</summary>
public abstract class RecordRefusedException(string message, Exception? inner = null) : Exception(message, inner);
