using System.Net.Http.Headers;
using System.Text;
using Frusta.Contracts.Buffers;
using Microsoft.AspNetCore.Http;

namespace Frusta.Controller.Api;

/// <summary>Reads request bodies into one buffer, with a bound.</summary>
internal static class RequestBody
{
    /// <summary>OpenWhisk refuses more, whatever it is for.</summary>
    public const long MaxBytes = 50L * 1024 * 1024;

    public static async ValueTask<BodyReading> ReadAsync(HttpContext context, long limitBytes, bool required)
    {
        var request = context.Request;
        if (request.ContentLength > limitBytes)
        {
            return new BodyReading(null, ApiAnswer.Error(413, ApiTexts.PayloadTooLarge(request.ContentLength.Value, limitBytes)));
        }

        var body = PooledBuffer.Rent((int)(request.ContentLength ?? 1024));
        var reader = request.BodyReader;
        while (true)
        {
            var read = await reader.ReadAsync(context.RequestAborted);
            var arrived = read.Buffer;
            if (body.Length + arrived.Length > limitBytes)
            {
                var size = body.Length + arrived.Length;
                reader.AdvanceTo(arrived.End);
                body.Dispose();
                return new BodyReading(null, ApiAnswer.Error(413, ApiTexts.PayloadTooLarge(size, limitBytes)));
            }

            foreach (var part in arrived)
            {
                body.Write(part.Span);
            }

            reader.AdvanceTo(arrived.End);
            if (read.IsCompleted)
            {
                break;
            }
        }

        if ((body.Length > 0 || (required && !string.IsNullOrEmpty(request.ContentType))) && RefuseType(request.ContentType) is { } refusal)
        {
            body.Dispose();
            return new BodyReading(null, refusal);
        }

        return new BodyReading(body, null);
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

        // What is no media type at all counts as bytes too.
        var shown = MediaTypeHeaderValue.TryParse(type, out var parsed) ? Show(parsed) : "application/octet-stream";
        return ApiAnswer.Error(415, $"The request's Content-Type [{shown}] is not supported. Expected:\napplication/json");
    }

    /// <summary>Types are told apart without case, and shown in the spelling that they are registered with.</summary>
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
