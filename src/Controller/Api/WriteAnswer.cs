using Frusta.Contracts.Buffers;
using Frusta.Contracts.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Frusta.Controller.Api;

/// <summary>The last step of a request: writes the headers of an answer and sends its body.</summary>
internal static class WriteAnswer
{
    private const string RequestId = "X-Request-ID";
    private const string ActivationIdHeader = "x-openwhisk-activation-id";
    private const string AllowedHeaders = "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent";

    /// <summary>Methods that browsers may use under <c>/api/v1</c>.</summary>
    public const string ApiMethods = "GET, DELETE, POST, PUT, HEAD";

    /// <summary>Methods that browsers may use elsewhere.</summary>
    public const string OtherMethods = "OPTIONS, GET, POST";

    /// <param name="context">The request.</param>
    /// <param name="answer">The answer; its buffers are given back at the end.</param>
    /// <param name="transactionId">Shown in the header and, on errors, as the code.</param>
    /// <param name="corsMethods">Methods of the CORS headers, or null without them.</param>
    /// <param name="bounds">The bounds of the caller's answers.</param>
    public static Task WriteAsync(HttpContext context, ApiAnswer answer, string transactionId, string? corsMethods, AnswerBounds bounds)
    {
        if (answer.Status is >= 200 and < 300 && !answer.IgnoresAccept && !Accepts(context, answer.ContentType))
        {
            answer.Discard();
            var type = string.Equals(answer.ContentType, ApiAnswer.PlainText, StringComparison.Ordinal) ? "text/plain" : answer.ContentType;

            // The activation id stays: the request was carried out, and the client needs the id to find the record.
            answer = ApiAnswer.Error(406, $"Resource representation is only available with these types:\n{type}") with { ActivationId = answer.ActivationId };
        }

        try
        {
            WriteHead(context, answer, transactionId, corsMethods);
        }
        catch
        {
            answer.Discard();
            throw;
        }

        if (answer.Status == 204)
        {
            return Task.CompletedTask;
        }

        if (HttpMethods.IsHead(context.Request.Method))
        {
            answer.Discard();
            return Task.CompletedTask;
        }

        if (answer.Parts is { } parts)
        {
            return SendAnswer.SendAsync(context, parts, answer.Lease, bounds);
        }

        var body = answer.ErrorText is { } text ? ErrorBody(text, transactionId) : answer.Body;
        return answer.Lease is null || body is null
            ? SendAnswer.SendAsync(context, body?.Memory ?? answer.Static, body, bounds)
            : SendAnswer.SendAsync(context, new WholeBytes(default, body.Memory, default, body), answer.Lease, bounds);
    }

    private static void WriteHead(HttpContext context, ApiAnswer answer, string transactionId, string? corsMethods)
    {
        var response = context.Response;
        var headers = response.Headers;
        response.StatusCode = answer.Status;
        if (answer.Status is 413 or 422)
        {
            // For these two Kestrel has the reason phrases of an older version of HTTP.
            context.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = answer.Status == 413 ? "Content Too Large" : "Unprocessable Content";
        }

        headers[RequestId] = transactionId;
        if (corsMethods is not null)
        {
            headers.AccessControlAllowOrigin = "*";
            headers.AccessControlAllowHeaders = AllowedHeaders;
            headers.AccessControlAllowMethods = corsMethods;
        }

        if (answer.ActivationId is { } id)
        {
            headers[ActivationIdHeader] = id.ToString();
        }

        if (answer.RetryAfterSeconds > 0)
        {
            headers.RetryAfter = answer.RetryAfterSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        if (answer.Header is { } header)
        {
            headers[header.Name] = header.Value;
        }

        if (answer.Status != 204)
        {
            headers.ContentType = answer.ContentType;
        }
    }

    private static PooledBuffer ErrorBody(string text, string transactionId)
    {
        var body = PooledBuffer.Rent(text.Length + 128);
        body.Write("{\"error\":"u8);
        JsonText.WriteString(body, text);
        body.Write(",\"code\":"u8);
        JsonText.WriteString(body, transactionId);
        body.Write("}"u8);
        return body;
    }

    private static bool Accepts(HttpContext context, string contentType)
    {
        var accept = context.Request.Headers.Accept;
        if (accept.Count == 0)
        {
            return true;
        }

        var type = contentType.AsSpan();
        type = type.IndexOf(';') is var semicolon and >= 0 ? type[..semicolon] : type;
        var family = type[..type.IndexOf('/')];
        foreach (var line in accept)
        {
            foreach (var range in line.AsSpan().Split(','))
            {
                if (Covers(line.AsSpan()[range].Trim(), type, family))
                {
                    return true;
                }
            }
        }

        return accept.All(string.IsNullOrWhiteSpace);
    }

    private static bool Covers(ReadOnlySpan<char> range, ReadOnlySpan<char> type, ReadOnlySpan<char> family)
    {
        var media = range;
        if (range.IndexOf(';') is var semicolon and >= 0)
        {
            media = range[..semicolon].TrimEnd();
            var rest = range[(semicolon + 1)..].Trim();
            if (rest.StartsWith("q=0", StringComparison.OrdinalIgnoreCase) && rest[3..].TrimStart('.').TrimStart('0').IsEmpty)
            {
                return false;
            }
        }

        return media is "*/*" or "*"
            || media.Equals(type, StringComparison.OrdinalIgnoreCase)
            || (media.EndsWith("/*", StringComparison.Ordinal) && media[..^2].Equals(family, StringComparison.OrdinalIgnoreCase));
    }
}
