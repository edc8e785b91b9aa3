using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Controller.Refusals;
using Microsoft.AspNetCore.Http;

namespace Frusta.Controller.Api;

/// <summary>The calls by which the operators' endpoints ask the rest of the server.</summary>
/// <param name="Metrics">Gives the text of <c>/metrics</c>.</param>
/// <param name="HealthyInvokers">Gives the number of usable invokers, and of all.</param>
/// <param name="Running">Gives the number of activations in flight.</param>
/// <param name="Disable">Closes the controller for new activations.</param>
public sealed record Operations(Func<string> Metrics, Func<(int Healthy, int All)> HealthyInvokers, Func<long> Running, Action Disable);

/// <summary>All paths outside <c>/api/v1/namespaces</c>: the description of the server, <c>/ping</c>, the API's documentation, the operators' endpoints.</summary>
public sealed class InfoApi
{
    private const string Root = RequestPath.Root;
    private const string MetricsText = "text/plain; version=0.0.4; charset=utf-8";

    private readonly InfoOptions _options;
    private readonly Operations _operations;
    private readonly byte[] _server;
    private readonly byte[] _api;

    public InfoApi(LimitsOptions limits, RuntimesManifest manifest, InfoOptions options, Operations operations)
    {
        _options = options;
        _operations = operations;
        _server = DescribeServer(limits, manifest);
        _api = DescribeApi(options);
    }

    /// <summary>True for paths under <c>/api/v1</c> that need no credentials.</summary>
    public static bool IsOpen(string path) =>
        path is Root or Root + "/" or Root + "/api-docs" or Root + "/api-docs/" or Root + "/docs" || path.StartsWith(Root + "/docs/", StringComparison.Ordinal);

    /// <summary>True for the operators' endpoints, which browsers may read.</summary>
    public static bool IsOperators(string path) => path is "/invokers" or "/invokers/healthy/count" or "/invokers/ready" or "/activation" or "/activation/count" or "/disable";

    /// <summary>Answers a path under <c>/api/v1</c> that needs no credentials.</summary>
    public ValueTask<ApiAnswer> AnswerInApiAsync(HttpContext context, string path)
    {
        if (HttpMethods.IsOptions(context.Request.Method))
        {
            return new(ApiAnswer.Text("OK"u8.ToArray()));
        }

        if (path.StartsWith(Root + "/web/", StringComparison.Ordinal))
        {
            return new(ApiAnswer.Error(501, "This server does not run web actions yet."));
        }

        if (!HttpMethods.IsGet(context.Request.Method))
        {
            return new(ApiAnswer.Error(404, ApiTexts.NoRoute));
        }

        return new(path[Root.Length..] switch
        {
            "" or "/" => Json(_api),
            "/api-docs" or "/api-docs/" => Json(Document("api-v1.json")),
            "/docs" => Redirect($"docs/index.html?url={Root}/api-docs"),
            "/docs/index.html" => Page(),
            _ => ApiAnswer.Error(404, ApiTexts.NoRoute),
        });
    }

    /// <summary>Answers a path outside <c>/api/v1</c>.</summary>
    public ApiAnswer Answer(HttpContext context, string path)
    {
        var method = context.Request.Method;
        if (HttpMethods.IsOptions(method))
        {
            return ApiAnswer.Text("OK"u8.ToArray());
        }

        if (path is "/disable" && HttpMethods.IsPost(method))
        {
            return Disable(context.Request.Headers.Authorization);
        }

        if (path is not ("/" or "" or "/ping") && !HttpMethods.IsGet(method))
        {
            return NotAllowed("OPTIONS");
        }

        switch (path)
        {
            case "/" or "":
                return HttpMethods.IsGet(method) ? Json(_server) : NotAllowed("GET, OPTIONS");
            case "/ping":
                return HttpMethods.IsGet(method) ? ApiAnswer.Text("pong"u8.ToArray()) with { IgnoresAccept = false } : NotAllowed("GET, OPTIONS");
            case "/metrics":
                return new ApiAnswer { Status = 200, ContentType = MetricsText, IgnoresAccept = true, Static = Encoding.UTF8.GetBytes(_operations.Metrics()) };
            case "/api-docs" or "/api-docs/":
                return Json(Document("root.json"));
            case "/docs":
                return Redirect("docs/index.html?url=/api-docs");
            case "/docs/index.html":
                return Page();
            default:
                return Operator(path);
        }
    }

    private ApiAnswer Operator(string path)
    {
        var (healthy, all) = _operations.HealthyInvokers();
        switch (path)
        {
            case "/invokers":
                return Json(Encoding.UTF8.GetBytes(all == 0 ? "{}" : $"{{\"invoker0/0\":\"{(healthy > 0 ? "up" : "down")}\"}}"));
            case "/invokers/healthy/count":
                return Json(Number(healthy));
            case "/invokers/ready":
                return all > 0 && healthy == all
                    ? Json(Encoding.UTF8.GetBytes($"{{\"healthy\":\"{healthy}/{all}\"}}"))
                    : Json(Encoding.UTF8.GetBytes($"{{\"unhealthy\":\"{all - healthy}/{all}\"}}")) with { Status = 500 };
            case "/activation":
                return Json(Encoding.UTF8.GetBytes($"{{\"controller0\":{_operations.Running().ToString(CultureInfo.InvariantCulture)}}}"));
            case "/activation/count":
                return Json(Number(_operations.Running()));
            default:
                return path.StartsWith("/docs/", StringComparison.Ordinal) ? ApiAnswer.Error(404, ApiTexts.NoRoute) : NotAllowed("OPTIONS");
        }
    }

    private ApiAnswer Disable(string? authorization)
    {
        if (string.IsNullOrEmpty(authorization))
        {
            return ApiAnswer.Error(401);
        }

        var expected = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{_options.OperatorName}:{_options.OperatorPassword}"));
        var same = CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(expected), Encoding.UTF8.GetBytes(authorization));
        if (_options.OperatorName.Length == 0 || !same)
        {
            return ApiAnswer.Error(401, "username or password are wrong.");
        }

        _operations.Disable();
        return ApiAnswer.Text("controller is disabled"u8.ToArray());
    }

    private static ApiAnswer NotAllowed(string methods) =>
        ApiAnswer.Error(405, $"HTTP method not allowed, supported methods: {methods}") with { Header = ("Allow", methods) };

    private static ApiAnswer Json(byte[] body) => new() { Status = 200, Static = body };

    private static byte[] Number(long value) => Encoding.UTF8.GetBytes(value.ToString(CultureInfo.InvariantCulture));

    private static ApiAnswer Redirect(string location) =>
        new() { Status = 308, ContentType = "text/html; charset=UTF-8", Static = "This page is elsewhere."u8.ToArray(), Header = ("Location", location) };

    private static ApiAnswer Page() => new() { Status = 200, ContentType = "text/html; charset=UTF-8", Static = Document("index.html") };

    private static byte[] Document(string name)
    {
        using var stream = typeof(InfoApi).Assembly.GetManifestResourceStream("Docs/" + name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);

        // The JSON files have white space for their readers; the answers have none.
        return name.EndsWith(".json", StringComparison.Ordinal) ? JsonSlice.Parse(bytes).Minify() : bytes;
    }

    private static byte[] DescribeApi(InfoOptions options) => Write(json =>
    {
        json.WriteString("api_version", "1.0.0");
        json.WriteString("api_version_path", "v1");
        json.WriteString("build", options.Build);
        json.WriteString("buildno", options.BuildNumber);
        json.WriteString("description", "OpenWhisk API");
        json.WriteStartObject("swagger_paths");
        json.WriteString("api-docs", "/api-docs");
        json.WriteString("ui", "/docs");
        json.WriteEndObject();
    });

    private static byte[] DescribeServer(LimitsOptions limits, RuntimesManifest manifest) => Write(json =>
    {
        const long megabyte = 1024 * 1024;
        json.WriteStartArray("api_paths");
        json.WriteStringValue(Root);
        json.WriteEndArray();
        json.WriteString("description", "OpenWhisk");
        json.WriteStartObject("limits");
        json.WriteNumber("actions_per_minute", limits.InvocationsPerMinute);
        json.WriteNumber("concurrent_actions", limits.ConcurrentInvocations);
        json.WriteNumber("triggers_per_minute", limits.FiresPerMinute);
        json.WriteNumber("sequence_length", limits.SequenceLength);
        foreach (var prefix in (string[])["default_", ""])
        {
            json.WriteNumber($"{prefix}max_action_duration", limits.MaxActionTimeoutMs);
            json.WriteNumber($"{prefix}max_action_logs", limits.MaxActionLogsMb * megabyte);
            json.WriteNumber($"{prefix}max_action_memory", limits.MaxActionMemoryMb * megabyte);
            json.WriteNumber($"{prefix}min_action_duration", limits.MinActionTimeoutMs);
            json.WriteNumber($"{prefix}min_action_logs", 0);
            json.WriteNumber($"{prefix}min_action_memory", limits.MinActionMemoryMb * megabyte);
        }

        json.WriteEndObject();
        json.WritePropertyName("runtimes");
        WriteRuntimes(json, manifest);
        json.WriteStartObject("support");
        json.WriteString("github", "https://github.com/apache/openwhisk/issues");
        json.WriteString("slack", "http://slack.openwhisk.org");
        json.WriteEndObject();
    });

    private static void WriteRuntimes(Utf8JsonWriter json, RuntimesManifest manifest)
    {
        json.WriteStartObject();
        foreach (var family in manifest.Kinds.GroupBy(kind => kind.Family, StringComparer.Ordinal))
        {
            json.WriteStartArray(family.Key);
            foreach (var kind in family)
            {
                json.WriteStartObject();
                json.WriteString("kind", kind.Kind);
                json.WriteString("image", kind.Image);
                json.WriteBoolean("default", kind.IsDefault);
                json.WriteBoolean("deprecated", kind.Deprecated);
                json.WriteBoolean("attached", kind.Attached);
                json.WriteBoolean("requireMain", kind.RequireMain);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
    }

    private static byte[] Write(Action<Utf8JsonWriter> members)
    {
        using var buffer = PooledBuffer.Rent();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        return buffer.Span.ToArray();
    }
}
