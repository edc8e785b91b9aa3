using System.Net.Http.Headers;
using System.Text;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Controller.Refusals;
using Microsoft.AspNetCore.Http;

namespace Frusta.Controller.Api;

/// <summary>Reads request bodies, each with a bound of its own and all together within the budget.</summary>
/// <param name="budget">Bytes that all bodies may hold. Room is taken as bytes arrive, not as they are announced.</param>
/// <param name="workers">Works on JSON that is too large for an event loop.</param>
public sealed class RequestBodies(ByteBudget budget, JsonWorkers workers)
{
    /// <summary>The most bytes of any body, as in OpenWhisk.</summary>
    public const int MaxBytes = 50 * 1024 * 1024;

    /// <summary>Works on JSON that is too large for an event loop.</summary>
    public JsonWorkers Workers => workers;

    /// <summary>
    /// Reads the whole body. A body over <paramref name="limitBytes"/> is refused with 413, one for which there is no room with 503, a media type other
    /// than JSON with 415 (an empty body needs none), each as the answer in <see cref="BodyReading.Refusal"/>. Nothing of a refused body is kept.
    /// </summary>
    /// <param name="context">The request.</param>
    /// <param name="namespaceUuid">The caller's namespace, in whose share the body counts.</param>
    /// <param name="limitBytes">Bytes that it may have.</param>
    /// <param name="required">True where an empty body is malformed: a media type other than JSON then counts before that.</param>
    public async ValueTask<BodyReading> ReadAsync(HttpContext context, string namespaceUuid, long limitBytes, bool required)
    {
        SynchronizationContext.SetSynchronizationContext(null); // continue on the thread on which bytes arrive
        var request = context.Request;
        limitBytes = Math.Min(limitBytes, MaxBytes);
        if (request.ContentLength > limitBytes)
        {
            return new BodyReading(null, ApiAnswer.Error(413, ApiTexts.PayloadTooLarge(request.ContentLength.Value, limitBytes)));
        }

        var body = new BodyBytes(budget.Of(namespaceUuid));
        var isRead = false;
        try
        {
            var refusal = await ReceiveAsync(context, body, (int)limitBytes)
                ?? (body.Length > 0 || (required && !string.IsNullOrEmpty(request.ContentType)) ? RefuseType(request.ContentType) : null);
            isRead = refusal is null;
            return isRead ? new BodyReading(body, null) : new BodyReading(null, refusal);
        }
        finally
        {
            if (!isRead)
            {
                body.Dispose();
            }
        }
    }

    private static async ValueTask<ApiAnswer?> ReceiveAsync(HttpContext context, BodyBytes body, int limitBytes)
    {
        var reader = context.Request.BodyReader;
        while (true)
        {
            var read = await reader.ReadAsync(context.RequestAborted);
            var arrived = read.Buffer;
            var size = body.Length + arrived.Length;
            var isAdded = false;
            try
            {
                isAdded = size <= limitBytes && body.TryAdd(arrived, limitBytes);
            }
            finally
            {
                reader.AdvanceTo(arrived.End); // without this the connection would break before the client has read the refusal
            }

            if (!isAdded)
            {
                return size > limitBytes ? ApiAnswer.Error(413, ApiTexts.PayloadTooLarge(size, limitBytes)) : ApiAnswer.Error(503);
            }

            if (read.IsCompleted)
            {
                return null;
            }
        }
    }

    /// <summary>415 unless the media type is JSON; a body without one counts as bytes.</summary>
    private static ApiAnswer? RefuseType(string? contentType)
    {
        if (string.Equals(contentType, ApiAnswer.Json, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var type = string.IsNullOrWhiteSpace(contentType) ? "application/octet-stream" : contentType.Trim();
        var media = type.AsSpan();
        var parameters = media.IndexOf(';');
        if (parameters >= 0)
        {
            media = media[..parameters].TrimEnd();
        }

        if (media.Equals(ApiAnswer.Json, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        // A text that is no media type counts as bytes too.
        var shown = MediaTypeHeaderValue.TryParse(type, out var parsed) ? Show(parsed) : "application/octet-stream";
        return ApiAnswer.Error(415, $"The request's Content-Type [{shown}] is not supported. Expected:\napplication/json");
    }

    /// <summary>Writes a media type in the spelling in which types are registered: names in lower case, the charset in upper case.</summary>
    private static string Show(MediaTypeHeaderValue type)
    {
        var shown = new StringBuilder(type.MediaType!.ToLowerInvariant());
        foreach (var parameter in type.Parameters)
        {
            var isCharset = string.Equals(parameter.Name, "charset", StringComparison.OrdinalIgnoreCase);
            shown.Append("; ").Append(parameter.Name.ToLowerInvariant()).Append('=').Append(isCharset ? parameter.Value?.ToUpperInvariant() : parameter.Value);
        }

        return shown.ToString();
    }
}
