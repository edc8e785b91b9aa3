using Frusta.Sandboxes.Layout;

namespace Frusta.Sandboxes.Network;

/// <summary>The host's switch for routing packets: one for all instances, whatever their run folders are.</summary>
/// <remarks>
/// Where it was off, the first instance turns it on and leaves a mark. As long as the mark is there, every instance's rules let the host route
/// only for sandboxes, so that it stays as closed as it was. The last instance turns the switch off and removes the mark.
/// </remarks>
internal static class PacketForwarding
{
    private const string Switch = "/proc/sys/net/ipv4/ip_forward";
    private const string Mark = "/run/frusta-forwarding";
    private const string Lock = "/run/frusta-network.lock";

    /// <summary>Takes the lock under which the switch and the mark are read and changed.</summary>
    internal static Task<IDisposable> TakeLockAsync(TimeProvider time, CancellationToken cancellationToken) => RunLock.TakeFileAsync(Lock, time, cancellationToken);

    /// <summary>True when the host did not route before the first instance.</summary>
    internal static bool WasOff() => File.Exists(Mark) || File.ReadAllText(Switch).StartsWith('0');

    /// <summary>Turns the switch on where it was off, and leaves the mark.</summary>
    internal static void TurnOn()
    {
        if (WasOff())
        {
            File.WriteAllText(Mark, "");
            File.WriteAllText(Switch, "1");
        }
    }

    /// <summary>Turns the switch off where an instance turned it on and none is left. Each has a bridge, which it removes before this call.</summary>
    internal static void TurnOffAfterTheLast()
    {
        if (File.Exists(Mark) && Directory.GetDirectories("/sys/class/net", EgressNetwork.BridgePrefix + "??????").Length == 0)
        {
            File.WriteAllText(Switch, "0");
            File.Delete(Mark);
        }
    }
}
