using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Microsoft.AspNetCore.Http;

namespace Frusta.Controller.Api;

/// <summary>One authenticated request, as the handlers see it.</summary>
public sealed class ApiCall(
    HttpContext context, Identity caller, string transactionId, bool extraLogging, RequestBodies bodies, ByteShare answers)
{
    public Identity Caller { get; } = caller;

    public string TransactionId { get; } = transactionId;

    /// <summary>True when the client asked with <c>X-OW-EXTRA-LOGGING: on</c>.</summary>
    public bool ExtraLogging { get; } = extraLogging;

    public HttpContext Context { get; } = context;

    /// <summary>The parameters of the query; the first of two of one name counts.</summary>
    public QueryParameters Query { get; } = new(context.Request.QueryString.Value);

    /// <summary>The share of the caller's namespace in the budget for answers.</summary>
    public ByteShare Answers { get; } = answers;

    public CancellationToken Aborted => Context.RequestAborted;

    /// <summary>Holds bytes for an answer before it is made.</summary>
    /// <param name="bytes">Bytes that the answer will hold while the client reads it.</param>
    /// <param name="lease">Goes with the answer. Null where there is no room, and for so few bytes that they are not counted.</param>
    /// <returns>False where there is no room: the request is to be refused with 503.</returns>
    public bool TryHold(long bytes, out ByteLease? lease)
    {
        lease = null;
        if (bytes <= ByteBudget.SmallBytes)
        {
            return true;
        }

        lease = Answers.Begin();
        if (lease.TryHold(bytes))
        {
            return true;
        }

        lease.Dispose();
        lease = null;
        return false;
    }

    /// <summary>Reads its body.</summary>
    public RequestBodies Bodies { get; } = bodies;

    /// <summary>Reads the whole body; see <see cref="RequestBodies.ReadAsync"/>.</summary>
    /// <param name="limitBytes">Bytes that it may have.</param>
    /// <param name="required">True where an empty body is malformed: a media type other than JSON then counts before that.</param>
    public ValueTask<BodyReading> ReadBodyAsync(long limitBytes, bool required = false) =>
        Bodies.ReadAsync(Context, Caller.NamespaceUuid, limitBytes, required);
}

/// <summary>A body that was read, or why it was refused.</summary>
/// <param name="Body">The body, which the receiver disposes; empty when nothing was sent.</param>
/// <param name="Refusal">Set instead of a body.</param>
public readonly record struct BodyReading(BodyBytes? Body, ApiAnswer? Refusal);
