using Frusta.Contracts.Buffers;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Api;

/// <summary>The answer to one request, a status and a body, before it is sent.</summary>
public sealed record ApiAnswer
{
    /// <summary>HTTP status.</summary>
    public required int Status { get; init; }

    /// <summary>The body's JSON or text, which the writer of the answer disposes. Null with <see cref="Static"/> or without a body.</summary>
    public PooledBuffer? Body { get; init; }

    /// <summary>A body that is never given back.</summary>
    public ReadOnlyMemory<byte> Static { get; init; }

    /// <summary>A body that is made while it is sent, instead of <see cref="Body"/> and <see cref="Static"/>. The writer of the answer disposes it.</summary>
    public AnswerParts? Parts { get; init; }

    /// <summary>
    /// The bytes that the answer holds of the budget for all answers; the writer of the answer gives them back. Null for an answer that holds little.
    /// </summary>
    public ByteLease? Lease { get; init; }

    /// <summary>Media type of the body.</summary>
    public string ContentType { get; init; } = Json;

    /// <summary>For a JSON error: its text. The body is made when it is written, since it carries the transaction id.</summary>
    public string? ErrorText { get; init; }

    /// <summary>Shown as <c>x-openwhisk-activation-id</c>.</summary>
    public ActivationId? ActivationId { get; init; }

    /// <summary>Shown as <c>Retry-After</c>, in seconds; 0 is none.</summary>
    public int RetryAfterSeconds { get; init; }

    /// <summary>A further header, such as <c>Allow</c> or <c>WWW-Authenticate</c>.</summary>
    public (string Name, string Value)? Header { get; init; }

    /// <summary>True for an answer that ignores the request's <c>Accept</c>: a bare status.</summary>
    public bool IgnoresAccept { get; init; }

    public const string Json = "application/json";
    public const string PlainText = "text/plain; charset=UTF-8";

    /// <summary>200 with a JSON body.</summary>
    public static ApiAnswer Ok(PooledBuffer body) => new() { Status = 200, Body = body };

    /// <summary>200 with a JSON body that is made while it is sent.</summary>
    public static ApiAnswer Ok(AnswerParts parts, ByteLease? lease) => new() { Status = 200, Parts = parts, Lease = lease };

    public static implicit operator ApiAnswer(Refusal refusal) => Error(refusal.Status, refusal.Text) with { Header = refusal.Header };

    /// <summary>Gives back the buffers and bytes that the answer holds, since it is not sent.</summary>
    public void Discard()
    {
        Body?.Dispose();
        Parts?.Dispose();
        Lease?.Dispose();
    }

    /// <summary>A refusal in the error form. An empty text is the status' default one.</summary>
    public static ApiAnswer Error(int status, string text = "") => new()
    {
        Status = status,
        ErrorText = text.Length > 0 ? text : ApiTexts.Default(status),
    };

    /// <summary>A bare status with a text, as rules and CORS have it.</summary>
    public static ApiAnswer Text(ReadOnlyMemory<byte> text) => new() { Status = 200, Static = text, ContentType = PlainText, IgnoresAccept = true };

    public static ApiAnswer NoContent() => new() { Status = 204, IgnoresAccept = true };
}
