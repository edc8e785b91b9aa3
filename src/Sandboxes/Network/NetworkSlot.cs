using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Frusta.Sandboxes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Network;

/// <summary>A network namespace for one sandbox. It lives by our descriptors alone: when the server dies, the kernel removes it and its link.</summary>
internal sealed class NetworkSlot : IDisposable
{
    private const int InterNetwork = 2;
    private const int Datagram = 2 | Libc.CloseOnExec;
    private const int RequestSize = 40;
    private const int NameSize = 16;
    private const int RouteSize = 120;

    private const nuint AddRoute = 0x890b;
    private const nuint SetFlags = 0x8914;
    private const nuint SetAddress = 0x8916;
    private const nuint SetMask = 0x891c;
    private const short Up = 1;
    private const short RouteUpThroughGateway = 3;

    // A socket that was opened inside keeps speaking to that namespace from every thread.
    private readonly SafeFileHandle _control;

    private NetworkSlot(SafeFileHandle network, SafeFileHandle control)
    {
        Namespace = network;
        _control = control;
    }

    internal SafeFileHandle Namespace { get; }

    /// <summary>Name of the link's end on the host.</summary>
    internal string HostLink { get; init; } = "";

    /// <summary>The sandbox's address, as a number.</summary>
    internal uint Address { get; private set; }

    /// <summary>Makes an empty namespace, on a thread that is thrown away because it moves into it.</summary>
    /// <exception cref="IOException">The kernel refused.</exception>
    internal static NetworkSlot Create(string hostLink)
    {
        NetworkSlot? made = null;
        Exception? refused = null;
        var thread = new Thread(() =>
        {
            try
            {
                made = CreateHere(hostLink);
            }
            catch (Exception failure)
            {
                refused = failure;
            }
        }, 256 * 1024)
        { IsBackground = true, Name = "sandbox network" };
        thread.Start();
        thread.Join();
        return made ?? throw new IOException(refused!.Message, refused);
    }

    /// <summary>Gives the inner end of the link its address and the way out. It must have been made.</summary>
    internal void Configure(uint address, uint gateway, int prefixLength)
    {
        Address = address;
        Request(SetFlags, "lo", static request => BinaryPrimitives.WriteInt16LittleEndian(request, Up), "Raising lo");
        Request(SetAddress, "eth0", request => WriteAddress(request, address), "Setting the address");
        Request(SetMask, "eth0", request => WriteAddress(request, uint.MaxValue << (32 - prefixLength)), "Setting the mask");
        Request(SetFlags, "eth0", static request => BinaryPrimitives.WriteInt16LittleEndian(request, Up), "Raising the link");
        AddDefaultRoute(gateway);
    }

    /// <summary>Takes the link down from inside: the routes go with it, and whoever connects is told at once that there is no network.</summary>
    internal void Deny() => Request(SetFlags, "eth0", static request => BinaryPrimitives.WriteInt16LittleEndian(request, 0), "Taking the link down");

    public void Dispose()
    {
        _control.Dispose();
        Namespace.Dispose();
    }

    private static NetworkSlot CreateHere(string hostLink)
    {
        if (Libc.Unshare(Libc.NewNetworkNamespace) != 0)
        {
            throw Libc.Failure("unshare");
        }

        // /proc/sys/net is that of the thread that opens it. IPv6 would give the link addresses that no rule of ours routes.
        foreach (var which in (string[])["all", "default"])
        {
            var path = $"/proc/sys/net/ipv6/conf/{which}/disable_ipv6";
            if (File.Exists(path))
            {
                File.WriteAllText(path, "1");
            }
        }

        var control = new SafeFileHandle(Libc.OpenSocket(InterNetwork, Datagram, 0), ownsHandle: true);
        return control.IsInvalid
            ? throw Libc.Failure("socket")
            : new NetworkSlot(File.OpenHandle("/proc/thread-self/ns/net"), control) { HostLink = hostLink };
    }

    private static void WriteAddress(Span<byte> place, uint address)
    {
        BinaryPrimitives.WriteInt16LittleEndian(place, InterNetwork);
        BinaryPrimitives.WriteUInt32BigEndian(place[4..], address);
    }

    private unsafe void Request(nuint code, string link, RequestBody write, string what)
    {
        var request = stackalloc byte[RequestSize];
        var span = new Span<byte>(request, RequestSize);
        span.Clear();
        Encoding.ASCII.GetBytes(link, span);
        write(span[NameSize..]);
        if (Libc.DeviceControl(_control, code, request) != 0)
        {
            throw Libc.Failure($"{what} of a sandbox", Marshal.GetLastPInvokeError());
        }
    }

    private unsafe void AddDefaultRoute(uint gateway)
    {
        // struct rtentry: a long, then destination, gateway and mask as sockaddr of 16 bytes each, then the flags.
        var route = stackalloc byte[RouteSize];
        var span = new Span<byte>(route, RouteSize);
        span.Clear();
        WriteAddress(span[8..], 0);
        WriteAddress(span[24..], gateway);
        WriteAddress(span[40..], 0);
        BinaryPrimitives.WriteInt16LittleEndian(span[56..], RouteUpThroughGateway);
        if (Libc.DeviceControl(_control, AddRoute, route) != 0)
        {
            throw Libc.Failure("Adding the default route of a sandbox");
        }
    }

    private delegate void RequestBody(Span<byte> body);
}
