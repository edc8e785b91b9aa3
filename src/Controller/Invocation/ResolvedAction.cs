using System.Buffers.Text;
using System.Text.Json;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Names;

namespace Frusta.Controller.Invocation;

/// <summary>An action as a call through one name finds it: package and binding followed, parameters merged. Good for these revisions only.</summary>
public sealed class ResolvedAction
{
    public ResolvedAction(FullyQualifiedName calledAs, PackageDocument? package, PackageDocument? provider, ActionDocument action)
    {
        Package = package;
        Provider = provider;
        Action = action;
        Binding = provider is null ? null : calledAs.Path;
        Parameters = ParameterLayer.Merge(provider?.Parameters ?? [], package?.Parameters ?? [], action.Parameters);
        IsFinal = Annotation("final") is { IsTrue: true };
        IsConductor = !action.Exec.IsSequence && IsTruthy(Annotation("conductor"), absent: false);
        Executable = new ExecutableAction(
            action.Name,
            action.Version,
            action.Revision,
            action.Exec.Kind,
            action.Exec.Main,
            action.Exec.Binary,
            action.Exec.CodeAttachment,
            action.Limits,
            ProvideApiKey: IsTruthy(Annotation("provide-api-key"), absent: true),
            AllowNetwork: Annotation("network") is not { } network || !network.Value.Span.SequenceEqual("\"none\""u8),
            Retries: Annotation("retries") is { } retries && Utf8Parser.TryParse(retries.Value.Span, out int times, out var read)
                && read == retries.Value.Length ? Math.Max(times, 0) : 0);
    }

    /// <summary>The package in the called name: plain or a binding; null for an action outside of packages.</summary>
    public PackageDocument? Package { get; }

    /// <summary>The package that the binding is bound to; null without a binding.</summary>
    public PackageDocument? Provider { get; }

    public ActionDocument Action { get; }

    /// <summary><c>ns/binding</c> when called through one.</summary>
    public string? Binding { get; }

    /// <summary>Provider's package under binding under action.</summary>
    public ParameterLayer Parameters { get; }

    /// <summary>Bytes of memory that it takes with the documents it was made of, about.</summary>
    public long SizeBytes => Action.SizeBytes + (Package?.SizeBytes ?? 0) + (Provider?.SizeBytes ?? 0) + Parameters.SizeBytes;

    /// <summary>True when bound parameters may not be given by a request.</summary>
    public bool IsFinal { get; }

    public bool IsConductor { get; }

    /// <summary>What an invoker needs to know.</summary>
    public ExecutableAction Executable { get; }

    private KeyValue? Annotation(string key)
    {
        foreach (var annotation in Action.Annotations)
        {
            if (string.Equals(annotation.Key, key, StringComparison.Ordinal))
            {
                return annotation;
            }
        }

        return null;
    }

    /// <summary>OpenWhisk's notion: a boolean is itself, a number is true unless 0, a string unless empty, null is false, the rest is true.</summary>
    private static bool IsTruthy(KeyValue? annotation, bool absent)
    {
        if (annotation is null)
        {
            return absent;
        }

        var reader = new Utf8JsonReader(annotation.Value.Span, JsonBounds.Value);
        reader.Read();
        return reader.TokenType switch
        {
            JsonTokenType.True or JsonTokenType.StartObject or JsonTokenType.StartArray => true,
            JsonTokenType.Number => reader.TryGetDouble(out var number) && number != 0,
            JsonTokenType.String => !reader.ValueSpan.IsEmpty,
            _ => false,
        };
    }
}
