using Frusta.Contracts.Buffers;
using Frusta.Contracts.Names;

namespace Frusta.Runtimes;

/// <summary>Speaks to the runtime in one sandbox: one init, then runs, one at a time.</summary>
public interface IRuntimeClient : IAsyncDisposable
{
    /// <summary>Hands over the code. The answer's body is empty on success.</summary>
    ValueTask<RuntimeAnswer> InitializeAsync(ActivationId id, ReadOnlyMemory<byte> request, CancellationToken cancellationToken);

    /// <summary>Runs once. <paramref name="request"/> is the JSON object of <c>/run</c> and stays the caller's.</summary>
    ValueTask<RuntimeAnswer> RunAsync(ActivationId id, ReadOnlyMemory<byte> request, CancellationToken cancellationToken);

    /// <summary>Ends the wait of whatever is in flight with <see cref="RuntimeAnswerKind.TimedOut"/>, from any thread. The sandbox is not usable afterwards.</summary>
    void Abort(RuntimeAnswerKind reason);
}

public enum RuntimeAnswerKind : byte
{
    /// <summary>The runtime answered; see the status.</summary>
    Answered,

    /// <summary>
    /// The channel closed without an answer: the process is gone. Where the kind's own proxy would outlive the process and
    /// say so, the body has its words, and counts as a failed answer's unless the memory was exhausted.
    /// </summary>
    Closed,

    /// <summary>The deadline passed first.</summary>
    TimedOut,

    /// <summary>The body exceeded the bound; the body holds its beginning.</summary>
    TooLarge,

    /// <summary>A frame that no runner of ours sends: unknown id, second result, oversized, out of state. The sandbox is to be ended.</summary>
    Violated,
}

/// <summary>What came back.</summary>
/// <param name="Kind">Whether there is an answer at all.</param>
/// <param name="Ok">True for what an HTTP runtime would answer with 200.</param>
/// <param name="Body">The body, or null. The receiver disposes it.</param>
/// <param name="BodyLength">Length that the runtime announced; more than the body's for <see cref="RuntimeAnswerKind.TooLarge"/>.</param>
public readonly record struct RuntimeAnswer(RuntimeAnswerKind Kind, bool Ok, PooledBuffer? Body, long BodyLength);
