using Frusta.Controller.Api;
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
        InvokeOutcome.Malformed => (400, ApiTexts.MalformedContent("The body is not valid JSON.")),
        InvokeOutcome.NotAnObject => (400, ApiTexts.MalformedContent(ApiTexts.ObjectExpected)),
        InvokeOutcome.NamesFinal => (400, "Request defines parameters that are not allowed (e.g., reserved properties)."),
        InvokeOutcome.KindRetired => (400, ApiTexts.KindRetired(kind)),
        InvokeOutcome.NotFound => (404, ApiTexts.NotFound),
        InvokeOutcome.OtherCollection => (409, ApiTexts.OtherCollection),
        InvokeOutcome.TooLarge => (413, ApiTexts.Default(413)),
        InvokeOutcome.NamespaceFull => (429, load.Text),
        InvokeOutcome.Corrupt => (500, ApiTexts.Corrupt),
        InvokeOutcome.NotRunnable => (501, ApiTexts.NotYet),
        _ => (503, ApiTexts.Default(503)),
    };
}
