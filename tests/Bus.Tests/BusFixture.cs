using System.Collections.Concurrent;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Journal;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Bus.Tests;

/// <summary>A bus over a real log in a folder, with records in memory that survive a simulated crash of the process.</summary>
internal sealed class BusFixture : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    internal BusFixture()
    {
        Options = new BusOptions { SegmentBytes = 1024 * 1024, MaxLogBytes = 64 * 1024 * 1024, MaxPendingBytes = 8 * 1024 * 1024 };
        Records = new RecordsInMemory();
        Intake = new RecordingIntake();
        Start();
    }

    internal BusOptions Options { get; }

    internal RecordsInMemory Records { get; }

    internal RecordingIntake Intake { get; private set; }

    internal SegmentedLog Log { get; private set; } = null!;

    internal EmbeddedBus Bus { get; private set; } = null!;

    internal string LogFolder => _folder.Sub("accepted");

    /// <summary>What a new process would do: the log as it is on disk, a new invoker, the same records.</summary>
    internal async Task<RecoverySummary> RestartAsync(Action? receiving = null)
    {
        Log.Dispose();
        Intake = new RecordingIntake { Receiving = receiving };
        Start();
        return await Bus.RecoverAsync(TestContext.Current.CancellationToken);
    }

    internal static OutgoingActivation Activation(string space = "guest", bool blocking = false, int retries = 0, IActivationReply? reply = null, int padding = 0) => new(Message(space, blocking, padding), reply, Retries: retries);

    internal static ActivationMessage Message(string space = "guest", bool blocking = false, int padding = 0) => new()
    {
        Id = ActivationId.New(TimeProvider.System),
        TransactionId = "transaction",
        ArrivedMs = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds(),
        Action = new FullyQualifiedName(space, null, "hello"),
        ActionVersion = "0.0.1",
        ActionRevision = "1-abc",
        User = new Identity(space, space, "uuid-" + space, "key", NamespaceLimits.None),
        Blocking = blocking,
        Content = PooledBuffer.Copy(System.Text.Encoding.UTF8.GetBytes($$"""{"name":"Frusta{{new string('!', padding)}}"}""")),
    };

    internal static FinishedActivation Finish(ActivationId id, bool store = true) => ActivationRecordWriter.Finish(
        new ActivationRecord
        {
            Id = id,
            Namespace = "guest",
            Name = "hello",
            Version = "0.0.1",
            Subject = "guest",
            StartMs = 1,
            EndMs = 2,
            Status = ActivationStatus.Success,
            Result = """{"ok":true}"""u8,
        },
        "hello",
        store);

    public void Dispose()
    {
        Log.Dispose();
        _folder.Dispose();
    }

    private void Start()
    {
        Log = SegmentedLog.Open(Options.AcceptedLog(LogFolder), TimeProvider.System, NullLogger.Instance);
        Bus = new EmbeddedBus(Log, Records, Intake, TimeProvider.System, Options, NullLogger<EmbeddedBus>.Instance);
    }
}

/// <summary>Keeps records as the activation store does, as text.</summary>
internal sealed class RecordsInMemory : IFinishedActivations
{
    public bool Healthy { get; set; } = true;

    internal ConcurrentDictionary<ActivationId, string> All { get; } = new();

    internal int Refused { get; private set; }

    internal bool IsFull { get; set; }

    internal Action? Appending { get; set; }

    internal Action? Appended { get; set; }

    public bool Append(FinishedActivation finished)
    {
        if (IsFull)
        {
            throw new LogRefusedException(LogState.Full, "full");
        }

        Appending?.Invoke();
        if (All.TryAdd(finished.Id, System.Text.Encoding.UTF8.GetString(finished.Record.Span)))
        {
            Appended?.Invoke();
            return true;
        }

        Refused++;
        return false;
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask<bool> ContainsAsync(ActivationId id, CancellationToken cancellationToken) => new(All.ContainsKey(id));
}

/// <summary>An invoker that only writes down what it gets.</summary>
internal sealed class RecordingIntake : IActivationIntake
{
    internal ConcurrentQueue<IDelivery> Deliveries { get; } = new();

    internal SendOutcome Answer { get; set; } = SendOutcome.Sent;

    internal Action? Receiving { get; set; }

    internal Action? Reserving { get; set; }

    internal int GivenBack { get; private set; }

    public SendOutcome Receive(IDelivery delivery)
    {
        Receiving?.Invoke();
        if (Answer == SendOutcome.Sent)
        {
            Deliveries.Enqueue(delivery);
        }

        return Answer;
    }

    public SendOutcome Reserve(IDelivery delivery, out IReservedPlace? place)
    {
        Reserving?.Invoke();
        place = Answer == SendOutcome.Sent ? new Place(this, delivery) : null;
        return Answer;
    }

    private sealed class Place(RecordingIntake intake, IDelivery delivery) : IReservedPlace
    {
        public void Enter() => Assert.Equal(SendOutcome.Sent, intake.Receive(delivery));

        public void GiveBack() => intake.GivenBack++;
    }
}

/// <summary>A client that waits.</summary>
internal sealed class RecordingReply : IActivationReply
{
    internal int Completed { get; private set; }

    internal int Refused { get; private set; }

    public void Complete(FinishedActivation finished) => Completed++;

    public void Refuse() => Refused++;
}
