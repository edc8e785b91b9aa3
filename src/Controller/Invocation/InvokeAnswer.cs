using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Controller.Invocation;

/// <summary>Why a call or a fire did not become an activation.</summary>
public enum InvokeProblem : byte
{
    /// <summary>It became one.</summary>
    None,

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

/// <summary>The end of a call on the controller's side. Its receiver disposes it once the answer is written.</summary>
public readonly struct InvokeAnswer : IDisposable
{
    private InvokeAnswer(InvokeProblem problem, ActivationId id, FinishedActivation? finished, ResolvedAction? action) =>
        (Problem, Id, Finished, Action) = (problem, id, finished, action);

    public InvokeProblem Problem { get; }

    /// <summary>Meaningful without a <see cref="Problem"/>.</summary>
    public ActivationId Id { get; }

    /// <summary>
    /// The ended activation: 200, 502 or 500 by its status. Null without a problem means 202: the activation is on disk, and the client does not wait, or no
    /// longer waits.
    /// </summary>
    public FinishedActivation? Finished { get; }

    /// <summary>The action, as far as it was found.</summary>
    public ResolvedAction? Action { get; }

    public void Dispose() => Finished?.Record.Dispose();

    internal static InvokeAnswer Refused(InvokeProblem problem, ResolvedAction? action) => new(problem, default, null, action);

    internal static InvokeAnswer Accepted(ActivationId id, ResolvedAction action) => new(InvokeProblem.None, id, null, action);

    internal static InvokeAnswer Ended(FinishedActivation finished, ResolvedAction action) => new(InvokeProblem.None, finished.Id, finished, action);
}
