using System.Buffers.Text;
using Frusta.Contracts.Names;

namespace Frusta.Contracts.Entities;

/// <summary>The part of an action that an invoker needs to run it. The code itself is read only when a sandbox is initialised.</summary>
/// <param name="Name">The real place of the action: the provider's package, also when it was called through a binding.</param>
/// <param name="Version">Shown version, <c>major.minor.patch</c>.</param>
/// <param name="Revision">Revision of the stored document; a sandbox is never reused under another one.</param>
/// <param name="Kind">The resolved kind, such as <c>nodejs:20</c>; <c>sequence</c> and <c>blackbox</c> included.</param>
/// <param name="Main">Entry point, or null for the runtime's default <c>main</c>.</param>
/// <param name="Binary">True when the code is base64 of an archive.</param>
/// <param name="CodeAttachment">Name of the attachment that holds the code text as it was sent, or null when there is none.</param>
/// <param name="Limits">The action's own limits.</param>
/// <param name="ProvideApiKey">True when the caller's key goes into the sandbox.</param>
/// <param name="AllowNetwork">False when the annotation <c>network</c> is <c>none</c>.</param>
/// <param name="Retries">Value of the annotation <c>retries</c>: how often an activation may start again after a crash interrupted it; 0 means that it runs at most once.</param>
public sealed record ExecutableAction(
    FullyQualifiedName Name,
    string Version,
    string Revision,
    string Kind,
    string? Main,
    bool Binary,
    string? CodeAttachment,
    ActionLimits Limits,
    bool ProvideApiKey,
    bool AllowNetwork = true,
    int Retries = 0)
{
    /// <summary>Makes it from a stored action. An action without the annotation <c>provide-api-key</c> is an old one, and gets the key.</summary>
    public static ExecutableAction From(ActionDocument action) => new(
        action.Name,
        action.Version,
        action.Revision,
        action.Exec.Kind,
        action.Exec.Main,
        action.Exec.Binary,
        action.Exec.CodeAttachment,
        action.Limits,
        ProvideApiKey: action.Annotation("provide-api-key") is not { IsTruthy: false },
        AllowNetwork: action.Annotation("network") is not { } network || !network.Value.Span.SequenceEqual("\"none\""u8),
        Retries: action.Annotation("retries") is { } retries ? ReadCount(retries.Value.Span) : 0);

    private static int ReadCount(ReadOnlySpan<byte> value) =>
        Utf8Parser.TryParse(value, out int count, out var read) && read == value.Length ? Math.Max(count, 0) : 0;
}
