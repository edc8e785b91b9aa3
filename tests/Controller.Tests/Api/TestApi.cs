using System.Text;
using System.Text.Json.Nodes;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Controller.Api;
using Frusta.Controller.Identities;
using Frusta.Controller.Tests.Invocation;
using Frusta.Store.Entities;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Controller.Tests.Api;

/// <summary>The whole API over a store, without a network: what a client of the namespace <c>acme</c> asks and is answered.</summary>
internal sealed class TestApi : IDisposable
{
    private const string Key = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP";
    private const string Namespace = "/api/v1/namespaces/_/";

    private readonly FakeBus _bus = new();
    private readonly ControllerRole _controller;

    /// <param name="store">What there is.</param>
    /// <param name="options">Bounds other than the usual ones.</param>
    public TestApi(IEntityStore store, ControllerOptions? options = null)
    {
        Assert.Null(Subjects.Read(new Dictionary<string, string>(StringComparer.Ordinal) { ["acme"] = Key }, withStock: false, out var subjects));
        var operations = new Operations(() => "", () => (1, 1), () => 0, () => { });
        var limits = new LimitsOptions { FiresPerMinute = int.MaxValue, InvocationsPerMinute = int.MaxValue, ConcurrentInvocations = int.MaxValue };
        _controller = new ControllerRole(
            options ?? new ControllerOptions(), limits, RuntimesManifest.Stock, subjects!.FindAsync, store, null!, _bus, operations, TimeProvider.System, NullLoggerFactory.Instance);
    }

    public void Dispose() => _controller.Dispose();

    /// <summary>Asks, and tells the status and the JSON of the answer.</summary>
    public async Task<(int Status, JsonNode? Body)> SendAsync(string method, string path, string? body = null)
    {
        var question = path.IndexOf('?', StringComparison.Ordinal);
        var context = new DefaultHttpContext();
        context.Request.Method = method;
        context.Request.Headers.Authorization = "Basic " + Convert.ToBase64String(Encoding.ASCII.GetBytes(Key));
        context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget = Namespace + path;
        context.Request.QueryString = new QueryString(question < 0 ? "" : path[question..]);
        if (body is not null)
        {
            context.Request.ContentType = "application/json";
            context.Request.Body = new MemoryStream(Encoding.UTF8.GetBytes(body));
            context.Request.ContentLength = context.Request.Body.Length;
        }

        using var answer = new MemoryStream();
        context.Response.Body = answer;
        await _controller.Api.HandleAsync(context);
        return (context.Response.StatusCode, answer.Length > 0 && answer.ToArray()[0] == '{' ? JsonNode.Parse(answer.ToArray()) : null);
    }

    /// <summary>As <see cref="SendAsync"/>, and the answer must be 200.</summary>
    public async Task<JsonNode?> DoAsync(string method, string path, string? body = null)
    {
        var (status, answer) = await SendAsync(method, path, body);
        Assert.True(status == 200, $"{method} {path}: {status} {answer}");
        return answer;
    }

    /// <summary>Fires a trigger and tells what started, each as <c>rule action</c>, in order.</summary>
    public async Task<string[]> FireAsync(string trigger)
    {
        _bus.Sent.Clear();
        var (status, _) = await SendAsync("POST", $"triggers/{trigger}", "{}");
        Assert.True(status is 202 or 204, $"the fire of {trigger} was answered with {status}");
        var started = status == 204
            ? []
            : JsonNode.Parse(_bus.TriggerRecord!.Record.Span)!["logs"]!.AsArray()
                .Select(line => JsonNode.Parse((string)line!)!)
                .Where(line => (bool)line["success"]!)
                .Select(line => $"{line["rule"]} {line["action"]}")
                .Order(StringComparer.Ordinal)
                .ToArray();
        Assert.Equal(started.Length, _bus.Sent.Count);
        return started;
    }
}
