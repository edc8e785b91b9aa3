using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;

namespace Frusta.Sockets.Http;

/// <summary>The bytes for a client: gathered, then sent by the flush on the caller's thread. A client that does not read holds the flush up.</summary>
internal sealed class SocketOutput(StreamSocket socket) : PipeWriter, IValueTaskSource<FlushResult>
{
    private const int LeastBytes = 4 * 1024;

    private const int NobodyWaits = 0;
    private const int FlushWaits = 1;

    private readonly Lock _gate = new(); // keeps a report of room and a Complete of another thread apart
    private byte[] _buffer = [];
    private int _length;
    private int _sent;
    private bool _broken;
    private bool _completed;
    private int _cancelled;
    private int _waiting;
    private ManualResetValueTaskSourceCore<FlushResult> _wait;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _length - _sent;

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        MakeRoom(sizeHint);
        return _buffer.AsMemory(_length);
    }

    public override Span<byte> GetSpan(int sizeHint = 0)
    {
        MakeRoom(sizeHint);
        return _buffer.AsSpan(_length);
    }

    public override void Advance(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, _buffer.Length - _length);
        _length += bytes;
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (TrySendAll())
        {
            return new ValueTask<FlushResult>(new FlushResult(Interlocked.Exchange(ref _cancelled, 0) == 1, _broken));
        }

        _wait.Reset();
        var wait = new ValueTask<FlushResult>(this, _wait.Version);
        WaitForRoom();
        return wait;
    }

    public override void CancelPendingFlush()
    {
        Interlocked.Exchange(ref _cancelled, 1);
        if (Interlocked.Exchange(ref _waiting, NobodyWaits) == FlushWaits)
        {
            Interlocked.Exchange(ref _cancelled, 0);
            _wait.SetResult(new FlushResult(isCanceled: true, isCompleted: false));
        }
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
            if (!TrySendAll())
            {
                socket.Abort(); // the client does not read, and no flush waits for it any more
                GiveBack();
            }
        }

        if (Interlocked.Exchange(ref _waiting, NobodyWaits) == FlushWaits)
        {
            _wait.SetResult(new FlushResult(isCanceled: false, isCompleted: true));
        }
    }

    /// <summary>Called by the socket when there is room that a flush waits for, or there will never be any.</summary>
    public void RoomCame()
    {
        if (Interlocked.Exchange(ref _waiting, NobodyWaits) == NobodyWaits)
        {
            return; // cancelled; the bytes that are left go with the next flush
        }

        bool done;
        lock (_gate)
        {
            done = _completed || TrySendAll();
        }

        if (done)
        {
            _wait.SetResult(new FlushResult(Interlocked.Exchange(ref _cancelled, 0) == 1, _broken || _completed));
        }
        else
        {
            WaitForRoom();
        }
    }

    FlushResult IValueTaskSource<FlushResult>.GetResult(short token) => _wait.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<FlushResult>.GetStatus(short token) => _wait.GetStatus(token);

    void IValueTaskSource<FlushResult>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _wait.OnCompleted(continuation, state, token, flags);

    /// <summary>Sends all bytes, or drops them when the connection is broken; false when there is no room for all.</summary>
    private bool TrySendAll()
    {
        while (_sent < _length)
        {
            var count = _broken ? 0 : socket.SendFrom(_buffer.AsSpan(_sent, _length - _sent));
            if (count == StreamSocket.NothingNow)
            {
                return false;
            }

            _broken = count <= 0;
            _sent += _broken ? _length - _sent : count;
        }

        GiveBack();
        return true;
    }

    private void WaitForRoom()
    {
        Volatile.Write(ref _waiting, FlushWaits);
        socket.AwaitRoom();
        if (Volatile.Read(ref _cancelled) == 1)
        {
            CancelPendingFlush();
        }
    }

    private void MakeRoom(int sizeHint)
    {
        var wanted = Math.Max(sizeHint, 1);
        if (_buffer.Length - _length >= wanted)
        {
            return;
        }

        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(LeastBytes, Math.Max(_length + wanted, _length * 2)));
        _buffer.AsSpan(0, _length).CopyTo(larger);
        Return(_buffer);
        _buffer = larger;
    }

    private void GiveBack()
    {
        Return(_buffer);
        _buffer = [];
        (_length, _sent) = (0, 0);
    }

    private static void Return(byte[] buffer)
    {
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
