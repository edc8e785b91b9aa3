using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Frusta.Contracts.Names;
using Frusta.Runtimes.Families;
using Frusta.Runtimes.Frames;
using Frusta.Runtimes.Output;
using Frusta.Sandboxes;
using Frusta.Sandboxes.Plain;
using Frusta.Sockets;
using Microsoft.Extensions.Logging.Abstractions;

[assembly: AssemblyFixture(typeof(Frusta.Runtimes.Tests.RuntimeFixture))]

namespace Frusta.Runtimes.Tests;

/// <summary>Starts real runners in plain processes.</summary>
public sealed class RuntimeFixture : IAsyncLifetime
{
    private readonly ProcessSandboxMaker _maker = new(new SandboxesOptions(), TimeProvider.System, NullLogger<ProcessSandboxMaker>.Instance);
    private readonly ConcurrentBag<LiveRuntime> _started = [];
    private LiveRuntimes _live = null!;

    public EventLoops Loops => _live.Loops;

    public OutputPump Pump => _live.Pump;

    public async ValueTask InitializeAsync() => _live = await LiveRuntimes.ProbeAsync();

    public async ValueTask DisposeAsync()
    {
        foreach (var runtime in _started)
        {
            await runtime.DisposeAsync();
        }

        await _maker.DisposeAsync();
        _live.Dispose();
    }

    public RuntimeRecipe Recipe(string kind) => _live.Require(kind);

    internal Task<LiveRuntime> StartNodeAsync() => StartAsync(Recipe("nodejs:20"));

    internal Task<LiveRuntime> StartPythonAsync() => StartAsync(Recipe("python:3.11"));

    internal async Task<LiveRuntime> StartAsync(RuntimeRecipe recipe)
    {
        var sandbox = await _maker.StartAsync(recipe.ToSpec(512), TestContext.Current.CancellationToken);
        var runtime = new LiveRuntime(sandbox, recipe.Family, Loops, Pump);
        _started.Add(runtime);
        return runtime;
    }
}

/// <summary>One runner with its client and its logs.</summary>
internal sealed class LiveRuntime : IAsyncDisposable
{
    private readonly OutputCollector _output;

    public LiveRuntime(ISandbox sandbox, RuntimeFamily family, EventLoops loops, OutputPump pump)
    {
        Sandbox = sandbox;
        Client = new FramesClient((SandboxChannel)sandbox.Endpoint, family.WordsOfEnd, LiveRuntimes.MaxResultBytes, loops);
        Client.Start();
        _output = new OutputCollector(sandbox.StandardOutput, sandbox.StandardError, Client, pump, TimeProvider.System);
    }

    public ISandbox Sandbox { get; }

    public FramesClient Client { get; }

    /// <summary>Waits until the client has seen that the channel is closed, or was violated.</summary>
    public Task ClosedAsync() => Eventually.TrueAsync(() => Client.IsDead);

    /// <summary>Log lines of the last activation without their time.</summary>
    public string[] Logs { get; private set; } = [];

    public bool LogsTruncated { get; private set; }

    /// <summary>True once the activation in flight has written something, read along by the pump.</summary>
    public bool HasOutput => _output.HasLines;

    public long LogLimit { get; set; } = 10 * 1024 * 1024;

    private bool _begun;

    /// <summary>Initialises with source text or an archive.</summary>
    public Task<Said> InitAsync(string code, string main = "main", bool binary = false, JsonObject? env = null) => AskAsync(
        init: true,
        new JsonObject
        {
            ["value"] = new JsonObject { ["name"] = "hello", ["main"] = main, ["code"] = code, ["binary"] = binary, ["env"] = env ?? [] },
        });

    public Task<Said> RunAsync(JsonNode? value = null, ActivationId? id = null, string transactionId = "tid")
    {
        var activation = id ?? ActivationId.New(TimeProvider.System);
        return AskAsync(init: false, RunRequest(value, activation, transactionId), activation);
    }

    /// <summary>Initialises, which must succeed, and runs once.</summary>
    public async Task<Said> InitAndRunAsync(string code, JsonNode? value = null)
    {
        var init = await InitAsync(code);
        Assert.True(init.Ok, init.Body);
        return await RunAsync(value);
    }

    /// <summary>Name of the thread that an answer is handed out on, and its length.</summary>
    public async Task<(string? Thread, long Length)> RunToThreadAsync()
    {
        var answer = await Client.RunAsync(ActivationId.New(TimeProvider.System), new byte[10], CancellationToken.None).ConfigureAwait(false);
        answer.Body?.Dispose();
        return (Thread.CurrentThread.Name, answer.BodyLength);
    }

    public void BeginOutput() => _output.Begin(LogLimit);

    public async Task PrimeAsync(int runs)
    {
        for (var i = 0; i < runs; i++)
        {
            var value = new JsonObject { ["later"] = i % 2 == 0 };
            using var body = (await Client.PrimeAsync(Bytes(RunRequest(value, default)), TestContext.Current.CancellationToken)).Body;
            Assert.NotNull(body);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        _output.Dispose();
        await Sandbox.StopAsync();
    }

    private static JsonObject RunRequest(JsonNode? value, ActivationId id, string transactionId = "tid") => new()
    {
        ["action_name"] = "/guest/hello",
        ["action_version"] = "0.0.1",
        ["activation_id"] = id.ToString(),
        ["deadline"] = "1795492170903",
        ["namespace"] = "guest",
        ["transaction_id"] = transactionId,
        ["value"] = value ?? new JsonObject(),
    };

    private static byte[] Bytes(JsonNode node) => Encoding.UTF8.GetBytes(node.ToJsonString());

    private async Task<Said> AskAsync(bool init, JsonObject request, ActivationId? id = null)
    {
        if (!_begun)
        {
            _output.Begin(LogLimit);
            _begun = true;
        }

        var activation = id ?? ActivationId.New(TimeProvider.System);
        var bytes = Bytes(request);
        var answer = init
            ? await Client.InitializeAsync(activation, bytes, TestContext.Current.CancellationToken)
            : await Client.RunAsync(activation, bytes, TestContext.Current.CancellationToken);
        var said = new Said(answer.Kind, answer.Ok, answer.Body is null ? null : Encoding.UTF8.GetString(answer.Body.Span), answer.BodyLength);
        answer.Body?.Dispose();
        if (!init || !answer.Ok)
        {
            TakeLogs(failed: false);
        }

        return said;
    }

    public void TakeLogs(bool failed)
    {
        _begun = false;
        var logs = _output.Collect(failed);
        LogsTruncated = logs.Truncated;
        Logs = logs.Json is null ? [] : [.. JsonSerializer.Deserialize<string[]>(logs.Json.Span)!.Select(WithoutTime)];
        logs.Json?.Dispose();
    }

    private static string WithoutTime(string line)
    {
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z std(out|err): ", line);
        return line[31..];
    }
}

/// <summary>An answer in the form that tests compare.</summary>
public sealed record Said(RuntimeAnswerKind Kind, bool Ok, string? Body, long Length);
