using Frusta.Controller.Entitlement;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Invocation;

/// <summary>What a client reads when its call or fire did not become an activation: status and text as OpenWhisk has them.</summary>
public static class InvokeRefusal
{
    /// <param name="outcome">Any but finished and accepted.</param>
    /// <param name="kind">Kind of the action, where its runtime is retired.</param>
    /// <param name="load">The namespace's activations in flight and their limit.</param>
    public static Refusal Of(InvokeOutcome outcome, string? kind, Admission load) => outcome switch
    {
        InvokeOutcome.Malformed => new Refusal(400, ApiTexts.MalformedContent("The body is not valid JSON.")),
        InvokeOutcome.NotAnObject => new Refusal(400, ApiTexts.MalformedContent(ApiTexts.ObjectExpected)),
        InvokeOutcome.NamesFinal => new Refusal(400, "Request defines parameters that are not allowed (e.g., reserved properties)."),
        InvokeOutcome.KindRetired => new Refusal(400, ApiTexts.KindRetired(kind)),
        InvokeOutcome.NotFound => new Refusal(404, ApiTexts.NotFound),
        InvokeOutcome.OtherCollection => new Refusal(409, ApiTexts.OtherCollection),
        InvokeOutcome.TooLarge => new Refusal(413, ApiTexts.Default(413)),
        InvokeOutcome.NamespaceFull => new Refusal(429, load.Text),
        InvokeOutcome.Corrupt => new Refusal(500, ApiTexts.Corrupt),
        InvokeOutcome.NotRunnable => new Refusal(501, ApiTexts.NotYet),
        _ => new Refusal(503, ApiTexts.Default(503)),
    };
}
