using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;
using Microsoft.AspNetCore.Connections;

namespace Frusta.Sockets.Http;

/// <summary>The bytes that a client sends. They are received when the reader asks for them, so that a slow reader holds the client up.</summary>
/// <remarks>Between requests a connection holds no memory here.</remarks>
internal sealed class SocketInput(StreamSocket socket) : PipeReader, IValueTaskSource<ReadResult>
{
    private const int LeastBytes = 4 * 1024;
    private const int MostAtOnce = 64 * 1024;

    // A client that sends without end does not keep the loop from other clients: after this many bytes it is their turn.
    private const int MostInTurn = 64 * 1024;

    private readonly Lock _gate = new(); // keeps an arrival and a Complete of another thread apart
    private byte[] _buffer = [];
    private int _start;
    private int _examined;
    private int _end;
    private int _atOnce = LeastBytes;
    private int _inTurn;
    private bool _atEnd;
    private bool _broken;
    private bool _completed;
    private int _cancelled;
    private ManualResetValueTaskSourceCore<ReadResult> _wait;
    private CancellationToken _token;
    private CancellationTokenRegistration _cancellation;

    public override bool TryRead(out ReadResult result)
    {
        if (TryResult(out result))
        {
            return true;
        }

        Receive();
        return TryResult(out result);
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ReadResult result;
        while (!TryRead(out result))
        {
            if (TryWait(cancellationToken, out var wait))
            {
                return wait;
            }
        }

        return new ValueTask<ReadResult>(result);
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        var given = new ReadOnlySequence<byte>(_buffer, _start, _end - _start);
        var first = _start;
        _examined = first + (int)given.Slice(given.Start, examined).Length;
        _start = first + (int)given.Slice(given.Start, consumed).Length;
        if (_start == _end)
        {
            GiveBack();
        }
    }

    public override void CancelPendingRead()
    {
        Interlocked.Exchange(ref _cancelled, 1);
        CancelWait();
    }

    public override void Complete(Exception? exception = null)
    {
        lock (_gate)
        {
            if (_completed)
            {
                return;
            }

            _completed = true;
            GiveBack();
        }

        if (socket.TryTakeBackInput())
        {
            _wait.SetException(new InvalidOperationException("The reader was completed while it waited."));
        }
    }

    /// <summary>Called by the socket, on the loop's thread, when something arrived while the reader waits.</summary>
    public void Arrived()
    {
        _inTurn = 0;
        do
        {
            ReadResult result;
            try
            {
                if (!TryReadArrived(out result))
                {
                    continue; // nothing could be received: wait again
                }
            }
            catch (Exception exception) when (exception is ConnectionResetException or InvalidOperationException)
            {
                _wait.SetException(exception);
                return;
            }

            _wait.SetResult(result);
            return;
        }
        while (!socket.TryAwaitInput());
        LookForCancelling();
    }

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token)
    {
        _cancellation.Dispose();
        _cancellation = default;
        return _wait.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _wait.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _wait.OnCompleted(continuation, state, token, flags);

    /// <summary>The result of a read, when there are bytes that the reader has not examined, or the client ended, or the read was cancelled; else false.</summary>
    private bool TryResult(out ReadResult result)
    {
        ObjectDisposedException.ThrowIf(_completed, this);
        var cancelled = Interlocked.Exchange(ref _cancelled, 0) == 1;
        if (!cancelled && _end == _examined && !_atEnd)
        {
            if (_broken)
            {
                throw new ConnectionResetException("The client broke the connection.");
            }

            result = default;
            return false;
        }

        result = Result(cancelled);
        return true;
    }

    private bool TryReadArrived(out ReadResult result)
    {
        lock (_gate)
        {
            return TryRead(out result);
        }
    }

    private ReadResult Result(bool cancelled) => new(new ReadOnlySequence<byte>(_buffer, _start, _end - _start), cancelled, _atEnd);

    private bool TryWait(CancellationToken cancellationToken, out ValueTask<ReadResult> wait)
    {
        _wait.Reset();
        var version = _wait.Version;
        _token = cancellationToken;
        if (cancellationToken.CanBeCanceled)
        {
            _cancellation = cancellationToken.UnsafeRegister(static input => ((SocketInput)input!).Cancel(), this);
        }

        wait = new ValueTask<ReadResult>(this, version);
        if (_inTurn >= MostInTurn)
        {
            socket.AwaitInputInTurn();
        }
        else if (!socket.TryAwaitInput())
        {
            _cancellation.Dispose();
            _cancellation = default;
            return false;
        }

        LookForCancelling();
        return true;
    }

    /// <summary>Ends the wait if a cancellation came just before the wait was there to be found.</summary>
    private void LookForCancelling()
    {
        if (Volatile.Read(ref _cancelled) == 1)
        {
            CancelWait();
        }
        else if (_token.IsCancellationRequested)
        {
            Cancel();
        }
    }

    private void CancelWait()
    {
        if (socket.TryTakeBackInput())
        {
            Interlocked.Exchange(ref _cancelled, 0);
            _wait.SetResult(Result(cancelled: true));
        }
    }

    private void Cancel()
    {
        if (socket.TryTakeBackInput())
        {
            _wait.SetException(new OperationCanceledException(_token));
        }
    }

    private void Receive()
    {
        if (_atEnd || _broken || !socket.MayReceive || _inTurn >= MostInTurn)
        {
            return;
        }

        MakeRoom();
        var room = _buffer.Length - _end;
        var count = socket.ReceiveInto(_buffer.AsSpan(_end));
        if (count > 0)
        {
            _end += count;
            _inTurn += count;
            _atOnce = count == room ? Math.Min(_atOnce * 2, MostAtOnce) : _atOnce;
        }
        else
        {
            _atEnd = count == 0;
            _broken = count < 0 && count != StreamSocket.NothingNow;
            if (_start == _end)
            {
                GiveBack();
            }
        }
    }

    /// <summary>Makes room to receive into: behind the bytes that are kept, by moving those to the front, or in a larger buffer.</summary>
    private void MakeRoom()
    {
        var kept = _end - _start;
        if (_buffer.Length - _end >= LeastBytes / 2)
        {
            return;
        }

        var larger = _buffer.Length - kept >= LeastBytes / 2 ? _buffer : ArrayPool<byte>.Shared.Rent(Math.Max(_atOnce, kept * 2));
        _buffer.AsSpan(_start, kept).CopyTo(larger);
        if (larger != _buffer)
        {
            Return(_buffer);
            _buffer = larger;
        }

        _examined -= _start;
        (_start, _end) = (0, kept);
    }

    private void GiveBack()
    {
        Return(_buffer);
        _buffer = [];
        (_start, _examined, _end) = (0, 0, 0);
    }

    private static void Return(byte[] buffer)
    {
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
