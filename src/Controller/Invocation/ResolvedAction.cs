using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Contracts.Parameters;

namespace Frusta.Controller.Invocation;

/// <summary>An action as a call by one name finds it: package and binding followed, parameters merged. It holds only for these revisions of its documents.</summary>
public sealed class ResolvedAction
{
    public ResolvedAction(FullyQualifiedName calledAs, PackageDocument? package, PackageDocument? provider, ActionDocument action)
    {
        Package = package;
        Provider = provider;
        Action = action;
        Binding = provider is null ? null : calledAs.Path;
        Parameters = ParameterLayer.Merge(provider?.Parameters ?? [], package?.Parameters ?? [], action.Parameters);
        IsFinal = action.Annotation("final") is { IsTrue: true };
        IsConductor = !action.Exec.IsSequence && action.Annotation("conductor") is { IsTruthy: true };
        Executable = ExecutableAction.From(action);
    }

    /// <summary>The package in the called name: plain or a binding; null for an action outside of packages.</summary>
    public PackageDocument? Package { get; }

    /// <summary>The package that the binding is bound to; null without a binding.</summary>
    public PackageDocument? Provider { get; }

    public ActionDocument Action { get; }

    /// <summary><c>ns/binding</c> when called through one.</summary>
    public string? Binding { get; }

    /// <summary>The merged parameters: the action's over the binding's over the bound package's.</summary>
    public ParameterLayer Parameters { get; }

    /// <summary>Bytes of memory that it takes with the documents it was made of, about.</summary>
    public long SizeBytes => Action.SizeBytes + (Package?.SizeBytes ?? 0) + (Provider?.SizeBytes ?? 0) + Parameters.SizeBytes;

    /// <summary>True when bound parameters may not be given by a request.</summary>
    public bool IsFinal { get; }

    public bool IsConductor { get; }

    /// <summary>The part of the action that an invoker needs.</summary>
    public ExecutableAction Executable { get; }
}
