using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Frusta.EndToEnd.Tests;

/// <summary>The built server as a process of its own, on a free port and with a data folder that outlives it.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    public const string GuestKey = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP";

    // exec: the process id is the server's.
    private const string Plainly = "exec \"$@\"";

    private static readonly string[] RaisedRates =
        ["--Limits:InvocationsPerMinute=1000000", "--Limits:FiresPerMinute=1000000", "--Limits:ConcurrentInvocations=10000"];

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ServerProcess(int port, string dataFolder, string[] flags, IReadOnlyDictionary<string, string>? environment, string shell = Plainly, string? program = null)
    {
        Port = port;
        var start = new ProcessStartInfo("bash") { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };

        string[] arguments =
        [
            "-c", shell, "bash",
            "dotnet", program ?? Tree.Program, "standalone", "--port", port.ToString(CultureInfo.InvariantCulture), "--data-dir", dataFolder, .. flags,
        ];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment ?? new Dictionary<string, string>(StringComparer.Ordinal))
        {
            start.Environment[name] = value;
        }

        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Keep(line.Data);
        _process.ErrorDataReceived += (_, line) => Keep(line.Data);
        Http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}/api/v1/namespaces/_/"), Timeout = TimeSpan.FromMinutes(2) };
        Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(GuestKey)));
    }

    public int Port { get; }

    public HttpClient Http { get; }

    public int ProcessId => _process.Id;

    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>Starts a server with raised rates and waits until it says that it is ready.</summary>
    /// <param name="dataFolder">Its data folder.</param>
    /// <param name="flags">Flags of its command line.</param>
    /// <param name="environment">Variables beside those of this process.</param>
    /// <param name="stockRates">Leaves the rates as they are by default.</param>
    /// <param name="shell">The line of bash that becomes the server, whose command line is in <c>"$@"</c>.</param>
    /// <param name="program">The program, where it is not the one in the tree.</param>
    public static async Task<ServerProcess> StartAsync(
        string dataFolder,
        string[]? flags = null,
        IReadOnlyDictionary<string, string>? environment = null,
        bool stockRates = false,
        string shell = Plainly,
        string? program = null)
    {
        var server = new ServerProcess(FreePort(), dataFolder, stockRates ? flags ?? [] : [.. RaisedRates, .. flags ?? []], environment, shell, program);
        server.Launch();
        var first = await Task.WhenAny(server._ready.Task, server._process.WaitForExitAsync());
        if (first != server._ready.Task)
        {
            throw new InvalidOperationException($"The server ended with {server._process.ExitCode} before it was ready:\n{server.Output}");
        }

        return server;
    }

    /// <summary>Starts a server that is expected to refuse, and waits for its end.</summary>
    public static async Task<(int ExitCode, string Output)> RefusedAsync(
        string dataFolder, string[] flags, IReadOnlyDictionary<string, string>? environment = null, string shell = Plainly)
    {
        await using var server = new ServerProcess(FreePort(), dataFolder, flags, environment, shell);
        server.Launch();
        var exited = server._process.WaitForExitAsync();
        Assert.True(await Task.WhenAny(server._ready.Task, exited) == exited, $"The server was to refuse and has started:\n{server.Output}");
        await exited;
        return (server._process.ExitCode, server.Output);
    }

    /// <summary>Starts a server and kills it after so long, be it ready or not.</summary>
    public static async Task KillWhileItStartsAsync(string dataFolder, string[] flags, TimeSpan after)
    {
        await using var server = new ServerProcess(FreePort(), dataFolder, flags, environment: null);
        server.Launch();
        await Task.Delay(after, TimeProvider.System);
        Assert.False(server._process.HasExited, server.Output);
        await server.KillAsync();
    }

    /// <summary>Starts a server and asks it to end after so long, be it ready or not.</summary>
    public static async Task<(int ExitCode, string Output)> EndWhileItStartsAsync(string dataFolder, string[] flags, TimeSpan after)
    {
        await using var server = new ServerProcess(FreePort(), dataFolder, flags, environment: null);
        server.Launch();
        await Task.Delay(after, TimeProvider.System);
        Assert.False(server._process.HasExited, server.Output);
        server.Signal("TERM");
        return (await server.ExitAsync(), server.Output);
    }

    public async Task PutActionAsync(string name, string code, string kind = "nodejs:20", object? limits = null)
    {
        var body = new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["exec"] = new Dictionary<string, string>(StringComparer.Ordinal) { ["kind"] = kind, ["code"] = code },
        };
        if (limits is not null)
        {
            body["limits"] = limits;
        }

        await PutAsync($"actions/{name}?overwrite=true", body);
    }

    public async Task PutAsync(string path, object body)
    {
        using var answer = await Http.PutAsync(path, Json(body));
        Assert.True(answer.IsSuccessStatusCode, $"PUT {path}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
    }

    public async Task<(int Status, JsonElement Body)> PostAsync(string path, object? body = null, CancellationToken cancellationToken = default)
    {
        using var answer = await Http.PostAsync(path, Json(body ?? new Dictionary<string, string>(StringComparer.Ordinal)), cancellationToken);
        return ((int)answer.StatusCode, Parse(await answer.Content.ReadAsStringAsync(cancellationToken)));
    }

    public async Task<(int Status, JsonElement Body)> GetAsync(string path)
    {
        using var answer = await Http.GetAsync(path);
        return ((int)answer.StatusCode, Parse(await answer.Content.ReadAsStringAsync()));
    }

    /// <summary>Repeats a GET until it answers 200, for records that are written behind a 202.</summary>
    public async Task<JsonElement> GetWhenThereAsync(string path)
    {
        var patience = Stopwatch.StartNew();
        while (true)
        {
            var (status, body) = await GetAsync(path);
            if (status == 200)
            {
                return body;
            }

            Assert.True(patience.Elapsed < TimeSpan.FromSeconds(60), $"GET {path} still answers {status}: {body}");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    public void Signal(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", ProcessId.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    public async Task<int> ExitAsync()
    {
        await _process.WaitForExitAsync();
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (!_process.HasExited)
        {
            Signal("TERM");
            var exit = _process.WaitForExitAsync();
            if (await Task.WhenAny(exit, Task.Delay(TimeSpan.FromSeconds(40), TimeProvider.System)) != exit)
            {
                _process.Kill();
                await exit;
            }
        }

        _process.Dispose();
    }

    private static StringContent Json(object body) => new(JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");

    private static JsonElement Parse(string text)
    {
        if (text.Length == 0)
        {
            return default;
        }

        // The server takes values of a thousand levels, and lists show them.
        using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 2000 });
        return document.RootElement.Clone();
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(System.Net.IPAddress.Loopback, 0);
        probe.Start();
        return ((System.Net.IPEndPoint)probe.LocalEndpoint).Port;
    }

    private void Launch()
    {
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    private void Keep(string? line)
    {
        if (line is null)
        {
            return;
        }

        lock (_output)
        {
            _output.AppendLine(line);
        }

        if (line.Contains("Ready", StringComparison.Ordinal))
        {
            _ready.TrySetResult();
        }
    }
}
