using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Frusta.Bus;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Runtimes;
using Frusta.Runtimes.Output;
using Frusta.Sandboxes;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Invoker.Tests.Run;

/// <summary>What a fake sandbox answers.</summary>
internal sealed record FakeAnswer(string? Body, bool Ok = true, RuntimeAnswerKind Kind = RuntimeAnswerKind.Answered, long? Length = null)
{
    public RuntimeAnswer ToAnswer()
    {
        var body = Body is null ? null : PooledBuffer.Copy(Encoding.UTF8.GetBytes(Body));
        return new RuntimeAnswer(Kind, Ok, body, Length ?? body?.Length ?? 0);
    }
}

/// <summary>A sandbox in this process: it records what it is given and answers as the test says.</summary>
internal sealed class FakeSandbox(string family, int number, FakeFactory factory) : RunnableSandbox, ISandbox, IRuntimeClient
{
    private readonly TaskCompletionSource<SandboxExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource<RuntimeAnswer>? _pending;

    public override ISandbox Sandbox => this;

    public override IRuntimeClient Runtime => this;

    public string Label { get; } = $"{family}-{number}";

    public SandboxEndpoint Endpoint => throw new NotSupportedException();

    public SafeFileHandle StandardOutput => throw new NotSupportedException();

    public SafeFileHandle StandardError => throw new NotSupportedException();

    public Task<SandboxExit> Exited => _exited.Task;

    public bool MemoryExhausted { get; set; }

    public void ForgetKills() => MemoryExhausted = false;

    public int MemoryMb { get; set; }

    public int FailedRuns { get; private set; }

    public override bool IsDead => false;

    public bool NetworkDenied { get; private set; }

    public ConcurrentQueue<string> Inits { get; } = new();

    public ConcurrentQueue<string> Runs { get; } = new();

    public void Exit(int code) => _exited.TrySetResult(new SandboxExit(code));

    public void LimitMemory(int megabytes) => MemoryMb = megabytes;

    public void DenyNetwork()
    {
        if (factory.OnDeny() is { } failure)
        {
            throw failure;
        }

        NetworkDenied = true;
    }

    public long MeasureMemory() => 30 << 20;

    public TimeSpan? MeasureCpuTime() => factory.OnMeasureCpuTime(this);

    public bool CanPause => factory.CanPause;

    /// <summary>Whether nothing would run in it now.</summary>
    public bool IsPaused { get; private set; }

    public int Pauses { get; private set; }

    public void Pause()
    {
        factory.OnPause(this);
        IsPaused = true;
        Pauses++;
    }

    public void Resume()
    {
        factory.OnResume(this);
        IsPaused = false;
    }

    public ValueTask StopAsync() => DisposeAsync();

    public ValueTask<RuntimeAnswer> InitializeAsync(ActivationId id, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        Inits.Enqueue(Encoding.UTF8.GetString(request.Span));
        return AnswerAsync(factory.OnInit(this));
    }

    public ValueTask<RuntimeAnswer> RunAsync(ActivationId id, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        Assert.False(IsPaused, "It was given a run while it stood still.");
        Runs.Enqueue(Encoding.UTF8.GetString(request.Span));
        return AnswerAsync(factory.OnRun(this));
    }

    public void Abort(RuntimeAnswerKind reason) => _pending?.TrySetResult(new RuntimeAnswer(reason, Ok: false, null, 0));

    public override void BeginOutput(long limitBytes)
    {
    }

    public override bool TryReadOutput() => factory.Logs.Length == 0;

    public override LogsResult CollectOutput(bool failed, string? lastWords)
    {
        FailedRuns += failed ? 1 : 0;
        return new LogsResult(PooledBuffer.Copy(Encoding.UTF8.GetBytes(factory.Logs)), factory.LogsTruncated);
    }

    public override ValueTask DisposeAsync()
    {
        Exit(137);
        factory.Stopped.Enqueue(this);
        return ValueTask.CompletedTask;
    }

    private async ValueTask<RuntimeAnswer> AnswerAsync(Task<FakeAnswer> answer)
    {
        if (answer.IsCompletedSuccessfully)
        {
            return (await answer).ToAnswer();
        }

        _pending = new TaskCompletionSource<RuntimeAnswer>(TaskCreationOptions.RunContinuationsAsynchronously);
        return await await Task.WhenAny(_pending.Task, Read(answer));
    }

    private static async Task<RuntimeAnswer> Read(Task<FakeAnswer> answer) => (await answer).ToAnswer();
}

internal sealed class FakeFactory : ISandboxFactory
{
    private int _number;

    public Func<FakeSandbox, Task<FakeAnswer>> OnInit { get; set; } = _ => Task.FromResult(new FakeAnswer(""));

    public Func<FakeSandbox, Task<FakeAnswer>> OnRun { get; set; } = _ => Task.FromResult(new FakeAnswer("""{"ok":true}"""));

    public Func<Exception?> OnStart { get; set; } = () => null;

    public Func<Exception?> OnDeny { get; set; } = () => null;

    public bool CanPause { get; set; } = true;

    /// <summary>Called as a sandbox is paused; it may take its time, or throw.</summary>
    public Action<FakeSandbox> OnPause { get; set; } = static _ => { };

    /// <summary>Called as one is resumed.</summary>
    public Action<FakeSandbox> OnResume { get; set; } = static _ => { };

    public Func<FakeSandbox, TimeSpan?> OnMeasureCpuTime { get; set; } = static _ => TimeSpan.Zero;

    /// <summary>What a start takes; nothing unless the test says so.</summary>
    public TimeSpan StartTakes { get; set; }

    public string Logs { get; set; } = "[]";

    public bool LogsTruncated { get; set; }

    public ConcurrentQueue<FakeSandbox> Started { get; } = new();

    public ConcurrentQueue<FakeSandbox> Stopped { get; } = new();

    public KindSupport Find(string kind) => kind.Split(':')[0] is "nodejs" or "python"
        ? new KindSupport(kind.Split(':')[0], null)
        : new KindSupport(null, $"The runtime '{kind}' cannot run on this host.");

    public bool IsForItsMemoryOnly(string family) => false;

    public async ValueTask<RunnableSandbox> StartAsync(string family, int memoryMb, bool ahead, CancellationToken cancellationToken)
    {
        if (OnStart() is { } failure)
        {
            throw failure;
        }

        if (StartTakes > TimeSpan.Zero)
        {
            await Task.Delay(StartTakes, TimeProvider.System, cancellationToken);
        }

        var sandbox = new FakeSandbox(family, Interlocked.Increment(ref _number), this) { MemoryMb = memoryMb };
        Started.Enqueue(sandbox);
        return sandbox;
    }
}

internal sealed class FakeDelivery(ActivationMessage message, ExecutableAction? action = null) : IDelivery
{
    private readonly TaskCompletionSource<FinishedActivation> _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _starts;
    private int _ends;

    public ActivationMessage Message { get; } = message;

    public ExecutableAction? Action { get; } = action;

    public int Starts => _starts;

    public int Ends => _ends;

    /// <summary>The record; waits for it at most a minute.</summary>
    public async Task<JsonElement> RecordAsync()
    {
        var finished = await _finished.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        return JsonDocument.Parse(finished.Record.Memory).RootElement;
    }

    /// <summary>Whether the bus can write down that it starts.</summary>
    public bool MayStart { get; init; } = true;

    /// <summary>Whether it is on disk, as that of a 202 is.</summary>
    public bool IsAccepted { get; init; }

    public bool CanWait() => IsAccepted && _starts == 0;

    public bool TryStart()
    {
        Interlocked.Increment(ref _starts);
        return MayStart;
    }

    public void Finished(FinishedActivation finished)
    {
        Interlocked.Increment(ref _ends);
        Message.Release();
        _finished.TrySetResult(finished);
    }
}

internal sealed class FakeStore : RefusingEntityStore
{
    private const long KeptMs = -1;

    public ConcurrentDictionary<string, EntityDocument> Documents { get; } = new(StringComparer.Ordinal);

    public ConcurrentDictionary<string, byte[]> Code { get; } = new(StringComparer.Ordinal);

    public int CodeReads { get; private set; }

    /// <summary>Keeps what an action that is called is stored as, unless the test has put something there itself.</summary>
    public void Keep(FullyQualifiedName name, string revision, string kind)
    {
        var document = new ActionDocument { Name = name, Version = "0.0.1", Revision = revision, UpdatedMs = KeptMs, Exec = new ActionExec(kind, CodeAttachment: "code") };
        Documents.AddOrUpdate(name.DocumentId, document, (_, stored) => stored.UpdatedMs == KeptMs ? document : stored);
    }

    /// <summary>Called before code is read.</summary>
    public Action? OnCodeRead { get; set; }

    public override ValueTask<EntityDocument?> GetAsync(string documentId, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Documents.GetValueOrDefault(documentId));

    public override ValueTask<byte[]?> GetCodeAsync(string documentId, string attachment, CancellationToken cancellationToken)
    {
        CodeReads++;
        OnCodeRead?.Invoke();
        return ValueTask.FromResult(attachment.Equals("gone", StringComparison.Ordinal) ? null : Code.GetValueOrDefault(documentId));
    }
}
