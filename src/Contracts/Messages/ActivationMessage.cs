using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;

namespace Frusta.Contracts.Messages;

/// <summary>One invocation on its way from a controller to an invoker (OpenWhisk's ActivationMessage).</summary>
public sealed class ActivationMessage
{
    public required ActivationId Id { get; init; }

    public required string TransactionId { get; init; }

    /// <summary>Milliseconds since 1970 at which the request arrived: <c>waitTime</c> counts from here.</summary>
    public required long ArrivedMs { get; init; }

    /// <summary>The resolved action: package bindings are already followed.</summary>
    public required FullyQualifiedName Action { get; init; }

    public required string ActionVersion { get; init; }

    /// <summary>Revision of the action's document when it was resolved; null means the latest.</summary>
    public required string? ActionRevision { get; init; }

    public required Identity User { get; init; }

    /// <summary>True when a client waits for the result.</summary>
    public required bool Blocking { get; init; }

    /// <summary>The merged arguments: one JSON object, or an array from a sequence step. The message is one holder of this buffer; see <see cref="Release"/>.</summary>
    public required PooledBuffer Content { get; init; }

    /// <summary>Names of members of <see cref="Content"/> that go to the environment at init instead of to the arguments.</summary>
    public IReadOnlyList<string> InitArguments { get; init; } = [];

    /// <summary><c>ns/binding</c> when the action was called through a package binding.</summary>
    public string? Binding { get; init; }

    /// <summary>Id of the enclosing sequence or composition.</summary>
    public ActivationId? Cause { get; init; }

    /// <summary>True when the client asked with <c>X-OW-EXTRA-LOGGING: on</c> for the record to be stored whatever the level says.</summary>
    public bool ForceStore { get; init; }

    /// <summary>The span that sent it, in the form of the header <c>traceparent</c> (W3C Trace Context); null without a listener for spans.</summary>
    public string? TraceParent { get; init; }

    /// <summary>Bytes that this message holds in a queue.</summary>
    public int SizeBytes => Content.Length + 512;

    /// <summary>Gives the arguments back. The last owner of the message calls it once.</summary>
    public void Release() => Content.Dispose();
}
