using Frusta.Controller.Entitlement;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Invocation;

/// <summary>The answer when a call or fire did not become an activation: status and text as in OpenWhisk.</summary>
public static class InvokeRefusal
{
    /// <param name="problem">Any but none.</param>
    /// <param name="kind">Kind of the action, where its runtime is retired.</param>
    /// <param name="load">The namespace's activations in flight and their limit.</param>
    public static Refusal Of(InvokeProblem problem, string? kind, Admission load) => problem switch
    {
        InvokeProblem.Malformed => new Refusal(400, ApiTexts.MalformedContent("The body is not valid JSON.")),
        InvokeProblem.NotAnObject => new Refusal(400, ApiTexts.MalformedContent(ApiTexts.ObjectExpected)),
        InvokeProblem.NamesFinal => new Refusal(400, "Request defines parameters that are not allowed (e.g., reserved properties)."),
        InvokeProblem.KindRetired => new Refusal(400, ApiTexts.KindRetired(kind)),
        InvokeProblem.NotFound => new Refusal(404, ApiTexts.NotFound),
        InvokeProblem.OtherCollection => new Refusal(409, ApiTexts.OtherCollection),
        InvokeProblem.TooLarge => new Refusal(413, ApiTexts.Default(413)),
        InvokeProblem.NamespaceFull => new Refusal(429, load.Text),
        InvokeProblem.Corrupt => new Refusal(500, ApiTexts.Corrupt),
        InvokeProblem.NotRunnable => new Refusal(501, ApiTexts.NotYet),
        _ => new Refusal(503, ApiTexts.Default(503)),
    };
}
