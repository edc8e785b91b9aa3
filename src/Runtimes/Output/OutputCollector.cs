using System.Diagnostics;
using System.Text;
using Frusta.Contracts.Buffers;
using Frusta.Sockets;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Runtimes.Output;

/// <summary>The logs of one activation.</summary>
/// <param name="Json">A JSON array of lines, or null for <c>[]</c>. The receiver disposes it.</param>
/// <param name="Truncated">True when the limit cut them; the sandbox is then ended, as OpenWhisk does.</param>
public readonly record struct LogsResult(PooledBuffer? Json, bool Truncated);

/// <summary>Turns what one sandbox writes to its standard output and error into the logs of its activations.</summary>
/// <remarks>
/// A runner flushes before it answers, so that after an answer both pipes hold everything: they are read until they would
/// block, and no sentinel is needed. A sandbox that usually writes nothing costs nothing: the loop of its channel says when that changes
/// (docs/decisions/0008-quiet-output.md). An activation that runs for longer is read along by the pump, so that a full pipe never
/// stops user code. What is written between two activations belongs to the next one, as what is written while code is loaded belongs to the first.
/// </remarks>
internal sealed class OutputCollector : IDisposable
{
    // Two calls of the kernel watch the pipes anew, each report wakes the loop, and a look is one call: so only what stays quiet is watched.
    private const int EmptyLooksBeforeWatch = 8;

    // A line costs more than its bytes, and code may write 4,096 empty ones in so many: that is a millisecond.
    private const int ShortBytes = 4 * 1024;

    // What is made of the lines afterwards, the record, takes as long as they are.
    private const int ShortLogBytes = 64 * 1024;

    // The pump looks at one sandbox after the other, and again at each until nothing is there.
    private const int AlongBytes = 64 * 1024;

    private readonly Lock _gate = new();
    private readonly OutputPump _pump;
    private readonly QuietWatch _quiet;
    private readonly LogLines _lines;
    private readonly OutputStream _standardOutput;
    private readonly OutputStream _standardError;
    private readonly long _number;
    private int _emptyLooks;
    private bool _watched;
    private bool _isRead;
    private bool _closed;

    /// <param name="standardOutput">Read end, non-blocking; stays the sandbox's.</param>
    /// <param name="standardError">Read end, non-blocking; stays the sandbox's.</param>
    /// <param name="channel">The channel over which the sandbox answers.</param>
    /// <param name="pump">The one pump of this process.</param>
    /// <param name="clock">Gives the lines their time.</param>
    public OutputCollector(SafeFileHandle standardOutput, SafeFileHandle standardError, ReadyDescriptor channel, OutputPump pump, TimeProvider clock)
    {
        _pump = pump;
        _quiet = channel.Beside(standardOutput, standardError);
        _quiet.Arm();
        _lines = new LogLines(clock);
        _standardOutput = new OutputStream(standardOutput, isError: false);
        _standardError = new OutputStream(standardError, isError: true);
        _number = _pump.Add(this);
    }

    /// <summary>Tick of the pump at which the activation in flight began; 0 when there is none.</summary>
    internal long BeganAt;

    /// <summary>The pump's: <see cref="BeganAt"/> of the activation that it has looked at.</summary>
    internal long SeenAt;

    /// <summary>True once a line of the activation in flight was read.</summary>
    internal bool HasLines
    {
        get
        {
            lock (_gate)
            {
                return !_lines.IsEmpty;
            }
        }
    }

    /// <summary>True on the loop's thread when nothing was written since the pipes were watched.</summary>
    internal bool IsQuiet => _quiet.IsQuiet;

    /// <summary>An activation begins: before its init if it has one, otherwise before its run.</summary>
    /// <param name="limitBytes">Bytes of raw log that it may write; 0 keeps nothing.</param>
    public void Begin(long limitBytes)
    {
        Debug.Assert(Volatile.Read(ref BeganAt) == 0, "The output of the activation before was collected.");
        lock (_gate)
        {
            _lines.Begin(limitBytes);
            _isRead = false;
        }

        _quiet.Begin();

        _pump.Begin(ref BeganAt);
    }

    /// <summary>
    /// The activation's answer is here, or will never come: reads what it wrote if that is little. False when it is more, which <see cref="Collect"/>
    /// then reads: on another thread than an event loop's, since it takes as long as the code likes.
    /// </summary>
    public bool TryReadShort()
    {
        Volatile.Write(ref BeganAt, 0);
        lock (_gate)
        {
            _isRead = _quiet.IsQuiet || !Look(ShortBytes);
            return _isRead && _lines.Length <= ShortLogBytes;
        }
    }

    /// <summary>The activation's answer is here, or will never come: reads what is left and gives its logs.</summary>
    /// <param name="failed">True for a developer error, after which a line says that logs might be missing.</param>
    /// <param name="lastWords">A line that is the runtime's though its process could not write it.</param>
    public LogsResult Collect(bool failed, string? lastWords = null)
    {
        Volatile.Write(ref BeganAt, 0);
        lock (_gate)
        {
            if (!_isRead && !_quiet.IsQuiet)
            {
                Look(int.MaxValue);
            }

            _standardOutput.EndLine(_lines);
            _standardError.EndLine(_lines);
            if (lastWords is not null)
            {
                _lines.Add(Encoding.UTF8.GetBytes(lastWords), isError: true);
            }

            return _lines.End(failed);
        }
    }

    public void Dispose()
    {
        Volatile.Write(ref BeganAt, 0);
        _pump.Remove(_number);
        lock (_gate)
        {
            _closed = true;
            _quiet.Dispose();
            _standardOutput.Close();
            _standardError.Close();
            _lines.End(failed: false).Json?.Dispose();
        }
    }

    /// <summary>Puts both pipes under the kernel's watch, once: it ends when the sandbox closes them.</summary>
    internal void Watch(SafeFileHandle epoll)
    {
        lock (_gate)
        {
            if (!_watched && !_closed)
            {
                _watched = true;
                _standardOutput.Watch(epoll, _number);
                _standardError.Watch(epoll, _number);
            }
        }
    }

    /// <summary>Called by the pump while an activation runs; true when something was there, so that more may be.</summary>
    internal bool ReadAlong()
    {
        lock (_gate)
        {
            return Volatile.Read(ref BeganAt) != 0 && TryRead(AlongBytes, out _);
        }
    }

    /// <summary>
    /// Reads, and has the pipes watched when nothing came for long; true when more is left. The watch begins only here, where no activation runs: if it
    /// began during a run, the kernel could report the answer of that run before its output.
    /// </summary>
    private bool Look(int most)
    {
        if (TryRead(most, out var more))
        {
            _emptyLooks = 0;
        }
        else if (++_emptyLooks % EmptyLooksBeforeWatch == 0 && !_closed)
        {
            _quiet.Arm();
        }

        return more;
    }

    /// <summary>Reads up to so much of each; false when there was nothing.</summary>
    private bool TryRead(int most, out bool more)
    {
        more = false;
        if (OutputStream.AreEmpty(_standardOutput, _standardError))
        {
            return false;
        }

        more = _standardOutput.Read(_lines, most) | _standardError.Read(_lines, most);
        return true;
    }
}
