using Frusta.Contracts.Buffers;
using Frusta.Contracts.Names;

namespace Frusta.Contracts.Messages;

/// <summary>The end of one activation: its record as JSON, and what a store and a waiting client need to know without reading it.</summary>
/// <remarks>
/// The record is in the form that <c>GET .../activations/ID</c> answers, compact, and its last member is <c>logs</c>:
/// <c>{...,"logs":[...]}</c>. A blocking answer is therefore the record up to <see cref="LogsOffset"/>, then <c>[]}</c>.
/// </remarks>
public sealed class FinishedActivation
{
    public required ActivationId Id { get; init; }

    /// <summary>Namespace of the caller: where the record is listed.</summary>
    public required string Namespace { get; init; }

    /// <summary>What the list filter <c>name</c> compares: <c>name</c>, or <c>package/name</c> with the binding's name where one was used.</summary>
    public required string FilterName { get; init; }

    /// <summary>Milliseconds since 1970.</summary>
    public required long StartMs { get; init; }

    /// <summary>Milliseconds since 1970; 0 for a trigger, which has no end.</summary>
    public required long EndMs { get; init; }

    public required ActivationStatus Status { get; init; }

    /// <summary>The record. Whoever keeps it longer than a call retains it.</summary>
    public required PooledBuffer Record { get; init; }

    /// <summary>Where the result value begins in the record; 0 when there is none.</summary>
    public int ResultOffset { get; init; }

    public int ResultLength { get; init; }

    /// <summary>Where the <c>[</c> of the logs stands in the record.</summary>
    public required int LogsOffset { get; init; }

    /// <summary>False when a rule says that this record is not kept.</summary>
    public bool Store { get; init; } = true;

    public ReadOnlySpan<byte> Result => Record.Span.Slice(ResultOffset, ResultLength);

    public bool ResultIsArray => ResultLength > 0 && Record.Span[ResultOffset] == (byte)'[';
}

/// <summary>Where finished activations are kept. Implemented by the activation store.</summary>
public interface IFinishedActivations
{
    /// <summary>False while records could be refused: the disk is full, a sync failed, or too many wait for the index. Then nothing new is admitted.</summary>
    bool Healthy { get; }

    /// <summary>Appends the record to the journal before it returns (it survives a kill); a second record of one id is refused with false.</summary>
    /// <exception cref="RecordRefusedException">The store cannot take it now.</exception>
    bool Append(FinishedActivation finished);

    /// <summary>Completes when everything appended so far is on disk.</summary>
    ValueTask FlushAsync(CancellationToken cancellationToken);

    /// <summary>True when a record of this id is kept.</summary>
    ValueTask<bool> ContainsAsync(ActivationId id, CancellationToken cancellationToken);
}

/// <summary>A store or a log does not take a record: no room, a failed sync, or too much waits.</summary>
public abstract class RecordRefusedException(string message, Exception? inner = null) : Exception(message, inner);
