using Frusta.Controller.Entitlement;

namespace Frusta.Controller.Invocation;

/// <summary>What a client reads when its call or fire did not become an activation: status and text as OpenWhisk has them.</summary>
public static class InvokeRefusal
{
    /// <param name="outcome">Any but finished and accepted.</param>
    /// <param name="kind">Kind of the action, where its runtime is retired.</param>
    /// <param name="load">The namespace's activations in flight and their limit.</param>
    public static (int StatusCode, string Text) Of(InvokeOutcome outcome, string? kind, Admission load) => outcome switch
    {
        InvokeOutcome.Malformed => (400, "The request content was malformed:\nThe body is not valid JSON."),
        InvokeOutcome.NotAnObject => (400, "The request content was malformed:\nJSON object expected"),
        InvokeOutcome.NamesFinal => (400, "Request defines parameters that are not allowed (e.g., reserved properties)."),
        InvokeOutcome.KindRetired =>
            (400, $"The '{kind}' runtime is no longer supported. You may read and delete but not update or invoke this action."),
        InvokeOutcome.NotFound => (404, "The requested resource does not exist."),
        InvokeOutcome.OtherCollection => (409, "Resource by this name exists but is not in this collection."),
        InvokeOutcome.TooLarge => (413, "The request content is larger than the server is willing or able to process."),
        InvokeOutcome.NamespaceFull => (429, load.Text),
        InvokeOutcome.Corrupt => (500, "Resource is corrupted and cannot be read."),
        InvokeOutcome.NotRunnable => (501, "Sequences and compositions cannot be run by this server."),
        _ => (503, "The server is currently unavailable (because it is overloaded or down for maintenance)."),
    };
}
