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

    /// <summary>Ends the init or run in flight with an answer of this kind, from any thread. The sandbox is not usable afterwards.</summary>
    void Abort(RuntimeAnswerKind reason);
}

/// <summary>How an init or a run ended.</summary>
public enum RuntimeAnswerKind : byte
{
    /// <summary>The runtime answered; see <see cref="RuntimeAnswer.Ok"/>.</summary>
    Answered,

    /// <summary>
    /// The channel closed without an answer: the process is gone. Where OpenWhisk's image of the kind has a proxy that outlives the process, the body
    /// has the proxy's words, and counts as that of a failed answer unless the memory was exhausted.
    /// </summary>
    Closed,

    /// <summary>The deadline passed first.</summary>
    TimedOut,

    /// <summary>The body exceeded the bound; the body holds its beginning.</summary>
    TooLarge,

    /// <summary>
    /// The sandbox sent a frame that none of our runners sends, such as one with another id, a second result, or one that is too long. It is to be ended.
    /// </summary>
    Violated,
}

/// <summary>The end of an init or a run.</summary>
/// <param name="Kind">Whether the runtime answered at all.</param>
/// <param name="Ok">True where an HTTP runtime would answer with status 200.</param>
/// <param name="Body">The body, or null. The receiver disposes it.</param>
/// <param name="BodyLength">Length that the runtime announced; more than the body's for <see cref="RuntimeAnswerKind.TooLarge"/>.</param>
public readonly record struct RuntimeAnswer(RuntimeAnswerKind Kind, bool Ok, PooledBuffer? Body, long BodyLength);
