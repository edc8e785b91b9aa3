using System.Runtime.InteropServices;

namespace Frusta.Sockets;

/// <summary>Says without a system call that nothing has come on two descriptors.</summary>
/// <remarks>
/// The kernel reports in the order in which things came. So whoever received something from the channel beside, because it was reported, knows
/// of everything that was written here before it; unless a report may have been queued for bytes that were taken long since. An arrival is reported once, and then nothing until the next
/// <see cref="Arm"/>: descriptors on which much comes do not wake the loop each time.
/// </remarks>
public sealed class QuietWatch : IWatched, IDisposable
{
    private readonly EventLoops.Loop _loop;
    private readonly ReadyDescriptor _channel;
    private readonly SafeHandle[] _descriptors;
    private long _number;
    private long _beganAt;
    private bool _quiet;

    internal QuietWatch(EventLoops.Loop loop, ReadyDescriptor channel, SafeHandle one, SafeHandle other)
    {
        _loop = loop;
        _channel = channel;
        _descriptors = [one, other];
    }

    /// <summary>
    /// True when nothing had come since <see cref="Arm"/> as the other side sent what was received since <see cref="Begin"/>.
    /// Only the loop's own thread has seen every report, so elsewhere it is false.
    /// </summary>
    public bool IsQuiet => Volatile.Read(ref _quiet) && _loop.IsCurrent && _channel.InOrderFrom <= Volatile.Read(ref _beganAt);

    /// <summary>An exchange with the other side of the channel begins; before anything of it is sent.</summary>
    public void Begin() => Volatile.Write(ref _beganAt, _loop.Drains);

    /// <summary>Watches from now on. To be called when both were found empty; what has come since then is reported.</summary>
    public void Arm()
    {
        Volatile.Write(ref _quiet, true);
        if (!_loop.TryWatchOnce(this, ref _number, _descriptors))
        {
            Volatile.Write(ref _quiet, false); // the kernel cannot watch these, or has no room for it
        }
    }

    public void Dispose()
    {
        Volatile.Write(ref _quiet, false);
        _loop.Forget(_number);
    }

    void IWatched.Happened(uint what) => Volatile.Write(ref _quiet, false);
}
