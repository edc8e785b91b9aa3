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

/// <summary>Turns the standard output and error of one sandbox into the logs of its activations.</summary>
/// <remarks>
/// A runner flushes before it answers, so that after an answer both pipes hold all output: they are read until they would
/// block, and no sentinel is needed. A sandbox that usually writes nothing costs nothing: the loop of its channel says when that changes
/// (docs/decisions/0008-quiet-output.md). While an activation runs for longer, the pump reads its output, so that a full pipe does not
/// stop user code for long. Output between two activations belongs to the next one, and output while code is loaded to the first.
/// </remarks>
internal sealed class OutputCollector : IDisposable
{
    // To watch the pipes anew takes two system calls, and each report wakes the loop; a look takes one. So only pipes that stay quiet are watched.
    private const int EmptyLooksBeforeWatch = 8;

    // Each line has a cost of its own, and these bytes may be 4,096 empty lines: they take a millisecond.
    private const int ShortBytes = 4 * 1024;

    // The time to make a record of the lines grows with their length.
    private const int ShortLogBytes = 64 * 1024;

    // The pump reads this much of one sandbox before it goes to the next, and comes back to each that has more.
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

    /// <param name="standardOutput">Read end, non-blocking; the sandbox still owns it.</param>
    /// <param name="standardError">Read end, non-blocking; the sandbox still owns it.</param>
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

    /// <summary><see cref="BeganAt"/> of the last activation that the pump has looked at; used by the pump alone.</summary>
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

    /// <summary>Begins the output of an activation. To be called before its init if it has one, otherwise before its run.</summary>
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
    /// To be called when the activation's answer is here, or will never come: reads the output if it is short. False when it is longer:
    /// <see cref="Collect"/> then reads it, which must not be called on an event loop, because user code decides how long that takes.
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

    /// <summary>To be called when the activation's answer is here, or will never come: reads the rest of the output and gives the logs.</summary>
    /// <param name="failed">True for a developer error, after which a line says that logs might be missing.</param>
    /// <param name="lastWords">A line of the runtime that its process could not write any more, or null.</param>
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

    /// <summary>Puts both pipes under the kernel's watch at the first call. The watch ends when they are closed.</summary>
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

    /// <summary>Reads output while an activation runs; called by the pump. True when there was some, so that there may be more.</summary>
    internal bool ReadAlong()
    {
        lock (_gate)
        {
            return Volatile.Read(ref BeganAt) != 0 && TryRead(AlongBytes, out _);
        }
    }

    /// <summary>
    /// Reads the pipes, and has them watched when they were empty often enough; true when more is left. The watch begins only here, where no
    /// activation runs: if it began during a run, the kernel could report the answer of that run before its output.
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

    /// <summary>Reads up to so many bytes of each pipe; false when both were empty.</summary>
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
