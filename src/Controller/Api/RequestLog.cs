using Frusta.Contracts.Limits;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Frusta.Controller.Api;

/// <summary>
/// Writes lines for the operator about requests: one for each request, if the operator asks for these (<see cref="Category"/>), and now and then one about the
/// requests that were refused because a bound was reached. The transaction id in them is the <c>code</c> that the client was shown.
/// </summary>
public sealed partial class RequestLog(ILoggerFactory loggers, TimeProvider clock)
{
    /// <summary>Category of the lines for each request, so that they have a level of their own.</summary>
    public const string Category = "Frusta.Requests";

    private readonly ILogger _requests = loggers.CreateLogger(Category);
    private readonly ILogger _log = loggers.CreateLogger<RequestLog>();
    private readonly SeldomLine _throttled = new(clock);
    private readonly SeldomLine _overloaded = new(clock);

    /// <summary>To be called when a request comes. Gives the time for <see cref="Answered"/>; 0 when there is no line for each request.</summary>
    internal long Begin() => _requests.IsEnabled(LogLevel.Information) ? clock.GetTimestamp() : 0;

    /// <summary>To be called when the request has its answer.</summary>
    internal void Answered(HttpContext context, string path, string transactionId, long began)
    {
        var status = context.Response.StatusCode;
        if (began != 0)
        {
            LogRequest(_requests, context.Request.Method, path, status, (long)clock.GetElapsedTime(began).TotalMilliseconds, transactionId);
        }

        if (status == StatusCodes.Status429TooManyRequests && _throttled.IsDue(out var count))
        {
            LogThrottled(_log, count, context.Request.Method, path, transactionId);
        }
        else if (status == StatusCodes.Status503ServiceUnavailable && _overloaded.IsDue(out count))
        {
            LogOverloaded(_log, count, context.Request.Method, path, transactionId);
        }
    }

    [LoggerMessage(8003, LogLevel.Information, "{Method} {Path}: {Status} after {Milliseconds} ms (transaction {TransactionId})")]
    private static partial void LogRequest(ILogger logger, string method, string path, int status, long milliseconds, string transactionId);

    [LoggerMessage(8004, LogLevel.Information, "Answered 429 since this line was last written: {Count} requests of namespaces that have reached a limit; the last was {Method} {Path} (transaction {TransactionId})")]
    private static partial void LogThrottled(ILogger logger, int count, string method, string path, string transactionId);

    [LoggerMessage(8005, LogLevel.Warning, "Answered 503 since this line was last written: {Count} requests, since a bound of the whole server is reached or the disk takes nothing; the last was {Method} {Path} (transaction {TransactionId})")]
    private static partial void LogOverloaded(ILogger logger, int count, string method, string path, string transactionId);
}
