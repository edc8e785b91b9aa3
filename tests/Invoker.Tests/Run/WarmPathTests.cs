using Frusta.Bus;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Invoker.Intake;
using Frusta.Runtimes;
using Frusta.Runtimes.Output;
using Frusta.Sandboxes;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Invoker.Tests.Run;

public sealed class WarmPathTests
{
    private const int Calls = 2000;

    [Fact]
    public async Task A_warm_activation_costs_less_than_a_kilobyte_of_garbage_in_this_room()
    {
        await using var fixture = new InvokerFixture();
        var options = fixture.Options;
        await using var role = new InvokerRole(options, new LimitsOptions(), fixture.Store, new LeanSandbox(), TimeProvider.System, NullLoggerFactory.Instance);
        await role.StartAsync(CancellationToken.None);
        var action = fixture.Action();
        var first = new FakeDelivery(InvokerFixture.Message(action), action);
        role.Receive(first);
        await first.RecordAsync();
        Send(role, Deliveries(action)); // compiled and pooled
        var measured = Deliveries(action);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var began = TimeProvider.System.GetTimestamp();
        Send(role, measured);
        var perCall = (GC.GetAllocatedBytesForCurrentThread() - before) / Calls;
        var took = TimeProvider.System.GetElapsedTime(began).TotalMicroseconds / Calls;
        TestContext.Current.SendDiagnosticMessage("{0} bytes and {1:F2} us an activation", perCall, took);
        Assert.All(measured, delivery => Assert.True(delivery.Ended));
        Assert.InRange(perCall, 0, 1023);
    }

    private static CountingDelivery[] Deliveries(ExecutableAction action)
    {
        var deliveries = new CountingDelivery[Calls];
        for (var i = 0; i < Calls; i++)
        {
            deliveries[i] = new CountingDelivery(InvokerFixture.Message(action, """{"name":"x","n":1}"""), action);
        }

        return deliveries;
    }

    private static void Send(InvokerRole role, CountingDelivery[] deliveries)
    {
        foreach (var delivery in deliveries)
        {
            role.Receive(delivery);
        }
    }

    private sealed class CountingDelivery(ActivationMessage message, ExecutableAction action) : IDelivery
    {
        public bool CanWait() => false;

        public ActivationMessage Message { get; } = message;

        public ExecutableAction? Action { get; } = action;

        public bool Ended { get; private set; }

        public bool TryStart() => true;

        public void Finished(FinishedActivation finished)
        {
            Ended = true;
            finished.Record.Dispose();
            Message.Release();
        }
    }

    /// <summary>A factory and a sandbox that answer at once and keep nothing.</summary>
    private sealed class LeanSandbox : RunnableSandbox, ISandboxFactory, ISandbox, IRuntimeClient
    {
        private readonly TaskCompletionSource<SandboxExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override ISandbox Sandbox => this;

        public override IRuntimeClient Runtime => this;

        public override bool IsDead => false;

        public string Label => "lean";

        public SandboxEndpoint Endpoint => throw new NotSupportedException();

        public SafeFileHandle StandardOutput => throw new NotSupportedException();

        public SafeFileHandle StandardError => throw new NotSupportedException();

        public Task<SandboxExit> Exited => _exited.Task;

        public bool MemoryExhausted => false;

        public void ForgetKills()
        {
        }

        public KindSupport Find(string kind) => new("nodejs", null);

        public bool IsForItsMemoryOnly(string family) => false;

        public ValueTask<RunnableSandbox> StartAsync(string family, int memoryMb, bool ahead, CancellationToken cancellationToken) =>
            ValueTask.FromResult<RunnableSandbox>(this);

        public ValueTask<RuntimeAnswer> InitializeAsync(ActivationId id, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) => Answer();

        public ValueTask<RuntimeAnswer> RunAsync(ActivationId id, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) => Answer();

        public void Abort(RuntimeAnswerKind reason)
        {
        }

        public override void BeginOutput(long limitBytes)
        {
        }

        public override bool TryReadOutput() => true;

        public override LogsResult CollectOutput(bool failed, string? lastWords) => default;

        public void LimitMemory(int megabytes)
        {
        }

        public void DenyNetwork()
        {
        }

        public long MeasureMemory() => 0;

        public TimeSpan? MeasureCpuTime() => null;

        public bool CanPause => true;

        public void Pause()
        {
        }

        public void Resume()
        {
        }

        public ValueTask StopAsync() => ValueTask.CompletedTask;

        public override ValueTask DisposeAsync()
        {
            _exited.TrySetResult(new SandboxExit(0));
            return ValueTask.CompletedTask;
        }

        private static ValueTask<RuntimeAnswer> Answer()
        {
            var body = PooledBuffer.Copy("{\"greeting\":\"hello\"}"u8);
            return ValueTask.FromResult(new RuntimeAnswer(RuntimeAnswerKind.Answered, Ok: true, body, body.Length));
        }
    }
}
