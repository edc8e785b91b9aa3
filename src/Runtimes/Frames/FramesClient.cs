using System.Buffers;
using System.Diagnostics;
using System.Text;
using System.Threading.Tasks.Sources;
using Frusta.Contracts.Names;
using Frusta.Sandboxes;
using Frusta.Sockets;

namespace Frusta.Runtimes.Frames;

/// <summary>Speaks frames (docs/reference/frames.md) to one of our runners over the channel of its sandbox.</summary>
/// <remarks>
/// One exchange at a time. The channel is always watched, so that the end of the process is seen at once, between activations too. The answer's
/// continuation runs on the loop's thread, which received it. An exchange allocates nothing but the answer's body. Each frame of the runner is
/// checked: after any frame but the hello or the one awaited answer the client is useless, and its sandbox is to be ended. No runner can hold the loop's thread:
/// it receives at most so many bytes of a result at a time, and hands a long result out on another thread.
/// </remarks>
internal sealed class FramesClient : ReadyPipes, IRuntimeClient, IValueTaskSource<RuntimeAnswer>
{
    private const int CopiedSendBytes = 64 * 1024;

    // A runner that writes as fast as the loop reads keeps it for some 50 us before all other descriptors have their turn.
    private const int BytesATurn = 256 * 1024;

    // Work on a result grows with its length: it is looked through, written to the record, and sent.
    private const int LongResultBytes = 64 * 1024;

    private const int Idle = 0;
    private const int InFlight = 1;
    private const int Dead = 2;

    private const int Sent = 0;
    private const int Sending = 1;
    private const int AnswerWaits = 2;

    private readonly WordsOfEnd _words;
    private readonly FrameReader _reader;
    private ManualResetValueTaskSourceCore<RuntimeAnswer> _answer;
    private CancellationTokenRegistration _cancellation;
    private CancellationToken _cancelledBy;
    private ActivationId _id;
    private bool _initializing;
    private int _state = Idle;
    private int _send = Sent;
    private RuntimeAnswer _early;
    private TaskCompletionSource? _room;

    // Used by the receiving thread alone.
    private RuntimeAnswer _owed;
    private bool _owes;

    /// <summary>Takes over the channel. Nothing happens before <see cref="Start"/>.</summary>
    /// <param name="channel">Our ends of the sandbox's pipes; this client owns them from now on.</param>
    /// <param name="words">The answers when the process ends in the middle of an exchange.</param>
    /// <param name="maxResultBytes">Bytes of the largest result; the runner was started with the same number.</param>
    /// <param name="loops">One of them watches the channel.</param>
    public FramesClient(SandboxChannel channel, WordsOfEnd words, int maxResultBytes, EventLoops loops)
        : base(channel.Answers, channel.Requests, loops)
    {
        _words = words;
        _reader = new FrameReader(maxResultBytes);
    }

    /// <summary>The text of the runner's hello, such as <c>{"family":"nodejs","version":"20.1.0"}</c>; empty before.</summary>
    public string Hello { get; private set; } = "";

    /// <summary>True when no exchange is possible any more: the channel is closed, or the runner broke a rule of the frames.</summary>
    public bool IsDead => Volatile.Read(ref _state) == Dead;

    /// <summary>Begins to receive. Call it once.</summary>
    public void Start()
    {
        Watch();
        OnReadable();
    }

    public ValueTask<RuntimeAnswer> InitializeAsync(ActivationId id, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        ExchangeAsync(FrameType.Init, id, request, cancellationToken);

    public ValueTask<RuntimeAnswer> RunAsync(ActivationId id, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        ExchangeAsync(FrameType.Run, id, request, cancellationToken);

    /// <summary>Has the runner make a dummy init and run with this request of <c>/run</c>; only before it is initialised.</summary>
    public ValueTask<RuntimeAnswer> PrimeAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        ExchangeAsync(FrameType.Prime, default, request, cancellationToken);

    public void Abort(RuntimeAnswerKind reason)
    {
        if (End())
        {
            Complete(new RuntimeAnswer(reason, Ok: false, Body: null, BodyLength: 0));
        }
    }

    /// <summary>Closes the channel; the runner ends when it sees that.</summary>
    public ValueTask DisposeAsync()
    {
        Abort(RuntimeAnswerKind.Closed);
        Dispose();
        return ValueTask.CompletedTask;
    }

    RuntimeAnswer IValueTaskSource<RuntimeAnswer>.GetResult(short token) => _answer.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<RuntimeAnswer>.GetStatus(short token) => _answer.GetStatus(token);

    void IValueTaskSource<RuntimeAnswer>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _answer.OnCompleted(continuation, state, token, flags);

    private ValueTask<RuntimeAnswer> ExchangeAsync(FrameType type, ActivationId id, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _state) != Idle)
        {
            return IsDead
                ? ValueTask.FromResult(new RuntimeAnswer(RuntimeAnswerKind.Closed, Ok: false, Body: null, BodyLength: 0))
                : throw new InvalidOperationException($"The runner of {id} was given a second activation at a time.");
        }

        Debug.Assert(_early.Body is null && !_owes && Volatile.Read(ref _send) == Sent, "The exchange before has ended.");
        _answer.Reset();
        _id = id;
        _initializing = type == FrameType.Init;
        var version = _answer.Version;
        _send = Sending;
        if (Interlocked.CompareExchange(ref _state, InFlight, Idle) != Idle)
        {
            return ValueTask.FromResult(new RuntimeAnswer(RuntimeAnswerKind.Closed, Ok: false, Body: null, BodyLength: 0));
        }

        if (cancellationToken.CanBeCanceled)
        {
            _cancelledBy = cancellationToken;
            _cancellation = cancellationToken.UnsafeRegister(static client => ((FramesClient)client!).Cancel(), this);
        }

        Send(type, id, request);
        return new ValueTask<RuntimeAnswer>(this, version);
    }

    private void Cancel()
    {
        if (End())
        {
            _answer.SetException(new OperationCanceledException(_cancelledBy));
        }
    }

    /// <summary>Makes the client useless; true when an exchange was in flight, which the caller then completes.</summary>
    private bool End()
    {
        var inFlight = Interlocked.Exchange(ref _state, Dead) == InFlight;
        Shut(); // no byte of the request is sent from here on, so that its memory may be used for others' requests
        return inFlight;
    }

    private void Send(FrameType type, ActivationId id, ReadOnlyMemory<byte> request)
    {
        var copied = request.Length <= CopiedSendBytes;
        var size = FrameHeader.Size + (copied ? request.Length : 0);
        var frame = ArrayPool<byte>.Shared.Rent(size);
        FrameHeader.Write(frame, type, id, request.Length);
        if (copied)
        {
            request.Span.CopyTo(frame.AsSpan(FrameHeader.Size));
        }

        var sent = Send(frame.AsSpan(0, size));
        if (sent == size && copied)
        {
            ArrayPool<byte>.Shared.Return(frame);
            SendEnded();
        }
        else if (sent != Broken)
        {
            _ = SendRestAsync(frame, size, Math.Max(sent, 0), copied ? default : request);
        }
        else
        {
            ArrayPool<byte>.Shared.Return(frame);
            Lose(RuntimeAnswerKind.Closed);
            SendEnded();
        }
    }

    /// <summary>
    /// Sends the bytes that did not fit into the pipe at once. The request's memory stays valid: no answer ends the exchange before this task ends.
    /// </summary>
    private async Task SendRestAsync(byte[] frame, int size, int sent, ReadOnlyMemory<byte> request)
    {
        var whole = await TrySendAllAsync(frame.AsMemory(sent, size - sent)) && await TrySendAllAsync(request);
        ArrayPool<byte>.Shared.Return(frame);
        if (!whole)
        {
            Lose(RuntimeAnswerKind.Closed);
        }

        SendEnded();
    }

    /// <summary>
    /// Hands out an answer that waited for the end of the send. From here on the request's memory is not read any more. Code in a sandbox may
    /// answer before it has read its request; without the wait, the memory could be another request's by the time that the rest is sent.
    /// </summary>
    private void SendEnded()
    {
        if (Interlocked.Exchange(ref _send, Sent) != AnswerWaits)
        {
            return;
        }

        var answer = _early;
        _early = default;
        if (Interlocked.CompareExchange(ref _state, Idle, InFlight) == InFlight)
        {
            Complete(answer);
        }
        else
        {
            answer.Body?.Dispose(); // aborted meanwhile
        }
    }

    private async ValueTask<bool> TrySendAllAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var sent = Send(bytes.Span);
            if (sent == Broken)
            {
                return false;
            }

            bytes = bytes[Math.Max(sent, 0)..];
            if (bytes.Length > 0)
            {
                // The rest is sent on a thread of the pool: a runner that reads as fast as this writes would keep the loop.
                var room = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                Volatile.Write(ref _room, room);
                AwaitWritable();
                await room.Task;
            }
        }

        return true;
    }

    protected override void OnWritable() => Volatile.Read(ref _room)?.TrySetResult();

    /// <summary>
    /// Receives until there is nothing more or it is other descriptors' turn, and hands out the answer if one came. The answer's continuation may
    /// begin the next exchange.
    /// </summary>
    protected override void OnReadable()
    {
        var left = BytesATurn;
        do
        {
            int count;
            while ((count = Receive(_reader.Room(left))) != WouldBlock)
            {
                left -= count;
                var open = TryTake(count);
                if (_owes)
                {
                    var owed = _owed;
                    (_owes, _owed, left) = (false, default, 0);
                    Complete(owed);
                }

                if (!open)
                {
                    return;
                }

                if (left <= 0 && MayReceive)
                {
                    AwaitTurn();
                    return;
                }
            }
        }
        while (!TryAwait());
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing && TryTakeBack())
        {
            _reader.Dispose(); // no thread receives, and none will
        }
    }

    /// <summary>Takes the bytes of one receive, or its failure; false when nothing more is received.</summary>
    private bool TryTake(int count)
    {
        if (count <= 0)
        {
            return Stop(RuntimeAnswerKind.Closed);
        }

        _reader.Advance(count);
        FrameProgress progress;
        while ((progress = _reader.Next(Awaited(), out var frame)) == FrameProgress.HasFrame)
        {
            Take(frame);
        }

        return progress == FrameProgress.NeedsBytes || Stop(RuntimeAnswerKind.Violated);
    }

    /// <summary>The request that the runner may answer now; null when there is none, or its answer has come already.</summary>
    private ActivationId? Awaited() => Volatile.Read(ref _send) != AnswerWaits && Volatile.Read(ref _state) == InFlight ? _id : null;

    private void Take(in Frame frame)
    {
        if (frame.Header.Type == FrameType.Hello)
        {
            Hello = Encoding.UTF8.GetString(frame.Payload.Span);
            frame.Payload.Dispose();
            return;
        }

        var answer = frame.ToAnswer();
        if (Volatile.Read(ref _send) == Sending)
        {
            _early = answer;
            if (Interlocked.CompareExchange(ref _send, AnswerWaits, Sending) == Sending)
            {
                return;
            }

            _early = default;
        }

        if (Interlocked.CompareExchange(ref _state, Idle, InFlight) == InFlight)
        {
            (_owes, _owed) = (true, answer);
        }
        else
        {
            answer.Body?.Dispose(); // aborted meanwhile
        }
    }

    private bool Stop(RuntimeAnswerKind kind)
    {
        _reader.Dispose();
        Lose(kind);
        return false;
    }

    private void Lose(RuntimeAnswerKind kind)
    {
        var inFlight = Interlocked.Exchange(ref _state, Dead) == InFlight;
        Shut();
        if (inFlight && Interlocked.Exchange(ref _send, Sent) == AnswerWaits)
        {
            Complete(_early); // the answer came before the end
        }
        else if (inFlight)
        {
            var body = kind == RuntimeAnswerKind.Closed ? _words.ToBody(_initializing) : null;
            Complete(new RuntimeAnswer(kind, Ok: false, body, body?.Length ?? 0));
        }
    }

    private void Complete(RuntimeAnswer answer)
    {
        Debug.Assert(Volatile.Read(ref _state) != InFlight, "A thread ends an exchange only after it has changed the state from InFlight.");
        _cancellation.Dispose();
        _cancellation = default;
        _answer.RunContinuationsAsynchronously = answer.BodyLength > LongResultBytes;
        _answer.SetResult(answer);
    }
}
