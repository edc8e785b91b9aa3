using System.Runtime.InteropServices;

namespace Frusta.Sockets;

/// <summary>Tells without a system call that nothing has arrived on two descriptors beside a channel.</summary>
/// <remarks>
/// The kernel reports arrivals in their order. When the loop's thread receives bytes of the channel because they were reported, it has therefore
/// been told of everything that was written to the two descriptors before those bytes. The exception is a report that was queued for earlier
/// bytes of the channel (<see cref="ReadyDescriptor.InOrderFrom"/>). After an arrival nothing more is reported until the next
/// <see cref="Arm"/>, so that busy descriptors do not wake the loop each time.
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
    /// True when nothing had arrived since <see cref="Arm"/> at the moment at which the other side sent the bytes that were received since <see cref="Begin"/>.
    /// False on every thread but the loop's own, because only that one has seen every report.
    /// </summary>
    public bool IsQuiet => Volatile.Read(ref _quiet) && _loop.IsCurrent && _channel.InOrderFrom <= Volatile.Read(ref _beganAt);

    /// <summary>Begins an exchange with the other side of the channel. To be called before its first byte is sent.</summary>
    public void Begin() => Volatile.Write(ref _beganAt, _loop.Drains);

    /// <summary>Watches from now on. To be called when both descriptors were found empty; an arrival since then is reported.</summary>
    public void Arm()
    {
        Volatile.Write(ref _quiet, true);
        if (!_loop.TryWatchOnce(this, ref _number, _descriptors))
        {
            Volatile.Write(ref _quiet, false); // the kernel cannot watch these descriptors, or has no room for another watch
        }
    }

    public void Dispose()
    {
        Volatile.Write(ref _quiet, false);
        _loop.Forget(_number);
    }

    void IWatched.Happened(uint what) => Volatile.Write(ref _quiet, false);
}
