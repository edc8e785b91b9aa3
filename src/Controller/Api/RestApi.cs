using Frusta.Contracts.Buffers;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;
using Frusta.Controller.Identities;
using Frusta.Controller.Metrics;
using Frusta.Controller.Refusals;
using Frusta.Store;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Frusta.Controller.Api;

/// <summary>Answers every request of the controller.</summary>
/// <remarks>
/// 1 find the transaction id   2 answer paths that need no credentials   3 authenticate   4 read the path and check its names
/// 5 call the handler of the collection   6 send the answer   7 write the lines for the operator. The path is read as it was sent: a router that decodes
/// first would take an escaped slash for a real one.
/// </remarks>
public sealed partial class RestApi(
    InfoApi info, Authenticate authenticate, Dispatch dispatch, RequestBodies bodies, ByteBudget answers, TimeSpan patience, int retryAfterSeconds, TimeProvider clock,
    RequestLog requests, ILogger<RestApi> log)
{
    private const string Root = RequestPath.Root;
    private const string Namespaces = Root + "/namespaces";
    private const int MostTargetBytes = 8 * 1024;

    public async Task HandleAsync(HttpContext context)
    {
        var began = requests.Begin();
        using var span = Spans.Request(context.Request.Headers.TraceParent);

        // 1 The transaction id: the client's, unless it pretends to be the system's.
        var transactionId = TransactionId.Of(context.Request.Headers);
        var target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var path = RequestPath.Of(target);
        var inApi = RequestPath.IsInApi(path);
        var share = answers.WithoutKey;
        ApiAnswer answer;
        try
        {
            if (Refuse(context.Request.Method, target) is { } refused)
            {
                answer = refused;
            }
            else if (!inApi)
            {
                answer = info.Answer(context, path);
            }
            else if (NeedsNoKey(context.Request.Method, path))
            {
                answer = await info.AnswerInApiAsync(context, path); // 2 Paths that need no credentials.
            }
            else if ((await authenticate.IdentifyAsync(context.Request.Headers.Authorization, context.RequestAborted)).TryGet(out var caller, out var refusal))
            {
                // 3 Authenticated: the path's names are read only after this, so that a client without a key learns nothing of what exists.
                share = answers.Of(caller.NamespaceUuid);
                answer = await AnswerAsync(new ApiCall(context, caller, transactionId, TransactionId.WantsExtraLogging(context.Request.Headers), bodies, share), path);
            }
            else
            {
                answer = refusal;
            }
        }
        catch (BadHttpRequestException refused)
        {
            answer = ApiAnswer.Error(refused.StatusCode, refused.Message);
        }
        catch (IOException refused) when (refused.InnerException is OverflowException)
        {
            // Kestrel reads the size of a chunk as an int, and reports a larger one as a failure of the connection.
            answer = ApiAnswer.Error(400, refused.Message);
        }
        catch (Exception gone) when (gone is OperationCanceledException or ConnectionResetException or ConnectionAbortedException && context.RequestAborted.IsCancellationRequested)
        {
            return;
        }
        catch (Exception exception)
        {
            answer = Failed(exception, context.Request.Method, path, transactionId);
        }

        // 6 The answer.
        var asksForOptions = HttpMethods.IsOptions(context.Request.Method);
        var cors = inApi ? WriteAnswer.ApiMethods : asksForOptions || InfoApi.IsOperators(path) ? WriteAnswer.OtherMethods : null;
        try
        {
            await WriteAsync(context, answer, transactionId, cors, share);
        }
        catch (Exception exception)
        {
            await FailAsync(context, exception, path, transactionId, cors);
        }

        // 7 The lines for the operator.
        ControllerMetrics.Answered(context.Request.Method, context.Response.StatusCode);
        requests.Answered(context, path, transactionId, began);
    }

    /// <summary>
    /// Ends an answer that could not be made to its end: with an error if nothing was sent yet, else by breaking the connection, so that half an answer never
    /// looks whole.
    /// </summary>
    private async Task FailAsync(HttpContext context, Exception exception, string path, string transactionId, string? cors)
    {
        var isGone = context.RequestAborted.IsCancellationRequested;
        var answer = isGone || exception is OperationCanceledException ? ApiAnswer.Error(500) : Failed(exception, context.Request.Method, path, transactionId);
        if (context.Response.HasStarted || isGone)
        {
            context.Abort();
            return;
        }

        context.Response.Clear();
        await WriteAsync(context, answer, transactionId, cors, answers.WithoutKey);
    }

    /// <summary>The answer to a request that failed with an exception: 503 where memory, disk or a queue had no room, so that it may succeed later, else 500.</summary>
    private ApiAnswer Failed(Exception exception, string method, string path, string transactionId)
    {
        switch (exception)
        {
            case StoreFullException or StoreOverloadedException:
                return ApiAnswer.Error(503); // the store has logged why
            case HostMemoryException or OutOfMemoryException:
                LogNoMemory(exception, method, path, transactionId);
                return ApiAnswer.Error(503);
            default:
                LogUnexpected(exception, method, path, transactionId);
                return ApiAnswer.Error(500);
        }
    }

    private Task WriteAsync(HttpContext context, ApiAnswer answer, string transactionId, string? cors, ByteShare share) => WriteAnswer.WriteAsync(
        context,
        answer.Status == 503 ? answer with { RetryAfterSeconds = retryAfterSeconds } : answer,
        transactionId,
        cors,
        new AnswerBounds(share, patience, clock));

    /// <summary>True for a method of HTTP; upper and lower case differ.</summary>
    private static bool IsMethod(string method) => method is "GET" or "POST" or "PUT" or "DELETE" or "HEAD" or "OPTIONS" or "PATCH" or "TRACE" or "CONNECT";

    /// <summary>The refusal of a request with a target that is too long or with an unknown method; null for all others.</summary>
    private static ApiAnswer? Refuse(string method, string target) =>
        target.Length > MostTargetBytes ? ApiAnswer.Error(414, ApiTexts.TargetTooLong)
        : IsMethod(method) ? null
        : ApiAnswer.Error(501, ApiTexts.NoSuchMethod);

    private static bool NeedsNoKey(string method, string path) =>
        HttpMethods.IsOptions(method) || InfoApi.IsOpen(path) || path.StartsWith(Root + "/web/", StringComparison.Ordinal);

    /// <summary>Answers a request of an authenticated caller.</summary>
    private ValueTask<ApiAnswer> AnswerAsync(ApiCall call, string path)
    {
        if (path is Namespaces or Namespaces + "/")
        {
            return new ValueTask<ApiAnswer>(HttpMethods.IsGet(call.Context.Request.Method) ? Dispatch.Namespaces(call) : ApiAnswer.Error(404, ApiTexts.NoRoute));
        }

        if (!path.StartsWith(Namespaces + "/", StringComparison.Ordinal))
        {
            return new ValueTask<ApiAnswer>(ApiAnswer.Error(404, ApiTexts.NoRoute));
        }

        // 4 The path's names.
        return Route.Read(path.AsSpan(Namespaces.Length + 1), call.Caller.NamespaceName, out var route) is { } illegal
            ? new ValueTask<ApiAnswer>(illegal)
            : dispatch.AnswerAsync(call, route); // 5 The handler.
    }

    [LoggerMessage(EventId = 8002, Level = LogLevel.Warning, Message = "{Method} {Path} was refused: the host has no memory for it (transaction {TransactionId})")]
    private partial void LogNoMemory(Exception exception, string method, string path, string transactionId);

    [LoggerMessage(EventId = 8001, Level = LogLevel.Error, Message = "{Method} {Path} failed unexpectedly (transaction {TransactionId})")]
    private partial void LogUnexpected(Exception exception, string method, string path, string transactionId);
}
