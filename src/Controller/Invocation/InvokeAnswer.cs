using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Controller.Invocation;

/// <summary>How a call came out.</summary>
public enum InvokeOutcome : byte
{
    /// <summary>200, 502 or 500 by the status of the activation.</summary>
    Finished,

    /// <summary>202: on disk, and not waited for or not any longer.</summary>
    Accepted,

    /// <summary>400 with a detail.</summary>
    Malformed,

    /// <summary>400 with a detail.</summary>
    NotAnObject,

    /// <summary>404.</summary>
    NotFound,

    /// <summary>409.</summary>
    OtherCollection,

    /// <summary>500.</summary>
    Corrupt,

    /// <summary>400: the request names a final parameter.</summary>
    NamesFinal,

    /// <summary>400: the kind's runtime is no longer supported.</summary>
    KindRetired,

    /// <summary>501: a sequence or a composition.</summary>
    NotRunnable,

    /// <summary>503 with Retry-After.</summary>
    Full,

    /// <summary>429.</summary>
    NamespaceFull,

    /// <summary>413.</summary>
    TooLarge,
}

/// <summary>The end of a call on the controller's side. Whoever gets it disposes it once the answer is written.</summary>
public readonly struct InvokeAnswer(InvokeOutcome outcome, ActivationId id, FinishedActivation? finished = null, ResolvedAction? action = null)
    : IDisposable
{
    public InvokeOutcome Outcome { get; } = outcome;

    /// <summary>Meaningful for <see cref="InvokeOutcome.Finished"/> and <see cref="InvokeOutcome.Accepted"/>.</summary>
    public ActivationId Id { get; } = id;

    public FinishedActivation? Finished { get; } = finished;

    /// <summary>The action, as far as it was found.</summary>
    public ResolvedAction? Action { get; } = action;

    public void Dispose() => Finished?.Record.Dispose();
}
