using Frusta.Bus;
using Frusta.Contracts.Messages;

namespace Frusta.Controller.Invocation;

/// <summary>An activation that is made and not sent yet, or the problem why there is none. It is either sent, or given back by <see cref="Withdraw"/>.</summary>
internal readonly struct ComposedActivation
{
    private readonly ActivationMessage? _message;
    private readonly ActivationWait? _wait;

    internal ComposedActivation(InvokeProblem problem, ResolvedAction? action) => (Problem, Action) = (problem, action);

    internal ComposedActivation(ActivationMessage message, ActivationWait wait, ResolvedAction action) => (_message, _wait, Action) = (message, wait, action);

    internal InvokeProblem Problem { get; }

    /// <summary>The action, as far as it was found.</summary>
    internal ResolvedAction? Action { get; }

    // These two are set when there is no problem.

    internal ActivationMessage Message => _message!;

    internal ActivationWait Wait => _wait!;

    /// <summary>The activation as the bus takes it.</summary>
    internal OutgoingActivation Outgoing => new(Message, Wait, Action!.Executable, Action.Executable.Retries);

    /// <summary>Gives everything back, since the activation was not sent.</summary>
    internal void Withdraw()
    {
        Wait.Abandon();
        Message.Release();
    }
}
