using Frusta.Sandboxes.Layout;

namespace Frusta.Sandboxes.Network;

/// <summary>The host's switch for routing packets, which is one for all instances, whatever their run folders are.</summary>
/// <remarks>
/// Where it was off, the first instance turns it on and leaves a mark. As long as the mark is there every instance's rules refuse to route
/// for anybody but sandboxes, so the host stays as closed as it was; the last instance turns it off and removes the mark.
/// </remarks>
internal static class PacketForwarding
{
    private const string Switch = "/proc/sys/net/ipv4/ip_forward";
    private const string Mark = "/run/frusta-forwarding";
    private const string Lock = "/run/frusta-network.lock";

    /// <summary>The switch and the mark are read and changed under it.</summary>
    internal static Task<IDisposable> TakeLockAsync(TimeProvider time, CancellationToken cancellationToken) => RunLock.TakeFileAsync(Lock, time, cancellationToken);

    /// <summary>True when the host did not route before the first of us.</summary>
    internal static bool WasOff() => File.Exists(Mark) || File.ReadAllText(Switch).StartsWith('0');

    /// <summary>Turns it on where it was off.</summary>
    internal static void TurnOn()
    {
        if (WasOff())
        {
            File.WriteAllText(Mark, "");
            File.WriteAllText(Switch, "1");
        }
    }

    /// <summary>Turns it off again where we turned it on and no instance is left; each has a bridge, which it removes before.</summary>
    internal static void TurnOffAfterTheLast()
    {
        if (File.Exists(Mark) && Directory.GetDirectories("/sys/class/net", EgressNetwork.BridgePrefix + "??????").Length == 0)
        {
            File.WriteAllText(Switch, "0");
            File.Delete(Mark);
        }
    }
}
