using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Frusta.Sandboxes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Network;

/// <summary>A network namespace for one sandbox. It lives by our descriptors alone: when the server dies, the kernel removes it and its link.</summary>
internal sealed class SandboxNetwork : IDisposable
{
    private const int InterNetwork = 2;
    private const int Datagram = 2 | Libc.CloseOnExec;
    private const int RequestSize = 40;
    private const int NameSize = 16;
    private const int RouteSize = 120;
    private const int RouteDeviceOffset = 88;

    private const nuint AddRoute = 0x890b;
    private const nuint SetFlags = 0x8914;
    private const nuint SetAddress = 0x8916;
    private const nuint SetMask = 0x891c;
    private const short Up = 1;
    private const short RouteUpThroughGateway = 3;
    private const short RouteUpToHost = 5;

    private static readonly (string Name, string Value)[] Settings =
    [
        // IPv6 would give the link addresses that no rule of ours routes.
        ("ipv6/conf/all/disable_ipv6", "1"),
        ("ipv6/conf/default/disable_ipv6", "1"),

        // The next settings bound memory that no cgroup counts. A connection that has not been accepted is charged to no sandbox, with up to a
        // receive buffer of data: 32 kB let a sender begin at full speed, and the kernel widens the buffer for a process that reads.
        ("core/somaxconn", "128"),
        ("ipv4/tcp_max_syn_backlog", "128"),
        ("ipv4/tcp_rmem", "4096 32768 4194304"),

        // Bytes that an upload may have queued besides those on the way: many packets in the queue look like pinned memory (PinnedBlocks).
        ("ipv4/tcp_notsent_lowat", "131072"),
        ("ipv4/tcp_max_tw_buckets", "4096"),
        ("ipv4/igmp_max_memberships", "0"),
        ("mptcp/enabled", "0"),

        // No copies of sent packets, which a control message can ask for, where no filter sees it. Some kernels have this setting for the whole host alone.
        ("core/tstamp_allow_data", "0"),

        // Bytes of control data of one message, which a waiting call keeps; the value of kernels before 6.7.
        ("core/optmem_max", "20480"),

        // Data that an ended sandbox had not sent yet is tried for three seconds more, not for a hundred.
        ("ipv4/tcp_orphan_retries", "3"),
    ];

    // A socket that was opened inside the namespace works on it from every thread.
    private readonly SafeFileHandle _control;

    private SandboxNetwork(SafeFileHandle network, SafeFileHandle control)
    {
        Namespace = network;
        _control = control;
    }

    internal SafeFileHandle Namespace { get; }

    /// <summary>Name of the link's end on the host.</summary>
    internal string HostLink { get; init; } = "";

    /// <summary>False where the kernel cannot bound the rate of the sandbox's connections to itself.</summary>
    internal bool BoundsLoopback { get; private init; }

    /// <summary>The sandbox's address, as a number.</summary>
    internal uint Address { get; private set; }

    /// <summary>Makes an empty namespace, on a thread of its own that moves into it and ends.</summary>
    /// <exception cref="IOException">The kernel refused.</exception>
    internal static SandboxNetwork Create(string hostLink, int loopbackConnectionsPerSecond)
    {
        SandboxNetwork? made = null;
        Exception? refused = null;
        var thread = new Thread(() =>
        {
            try
            {
                made = CreateHere(hostLink, loopbackConnectionsPerSecond);
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

    /// <summary>Gives the inner end of the link, which must have been made, its address and its routes.</summary>
    /// <remarks>The gateway is the only neighbour: for each other one the kernel would hold packets, which no cgroup counts, until it had answered.</remarks>
    internal void Configure(uint address, uint gateway)
    {
        Address = address;
        Request(SetFlags, "lo", static request => BinaryPrimitives.WriteInt16LittleEndian(request, Up), "Raising lo");
        Request(SetAddress, "eth0", request => WriteAddress(request, address), "Setting the address");
        Request(SetMask, "eth0", static request => WriteAddress(request, uint.MaxValue), "Setting the mask");
        Request(SetFlags, "eth0", static request => BinaryPrimitives.WriteInt16LittleEndian(request, Up), "Raising the link");
        AddRoutes(gateway);
    }

    /// <summary>Takes the link down from inside: the routes go with it, and a process that connects gets an error at once.</summary>
    internal void Deny() => Request(SetFlags, "eth0", static request => BinaryPrimitives.WriteInt16LittleEndian(request, 0), "Taking the link down");

    public void Dispose()
    {
        _control.Dispose();
        Namespace.Dispose();
    }

    private static SandboxNetwork CreateHere(string hostLink, int loopbackConnectionsPerSecond)
    {
        if (Libc.Unshare(Libc.NewNetworkNamespace) != 0)
        {
            throw Libc.Failure("unshare");
        }

        // /proc/sys/net is that of the thread that opens it. A setting that the kernel does not have needs no bound.
        foreach (var (name, value) in Settings)
        {
            var path = Path.Combine("/proc/sys/net", name);
            if (File.Exists(path))
            {
                File.WriteAllText(path, value);
            }
        }

        // Where the kernel cannot do this, only UncountedWatch bounds connections that are not accepted, and the report says so.
        var bounds = LoopbackLimit.TrySet(loopbackConnectionsPerSecond);
        var control = new SafeFileHandle(Libc.OpenSocket(InterNetwork, Datagram, 0), ownsHandle: true);
        return control.IsInvalid
            ? throw Libc.Failure("socket")
            : new SandboxNetwork(File.OpenHandle("/proc/thread-self/ns/net"), control) { HostLink = hostLink, BoundsLoopback = bounds };
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

    private unsafe void AddRoutes(uint gateway)
    {
        fixed (byte* link = "eth0\0"u8)
        {
            Add(gateway, 0, uint.MaxValue, RouteUpToHost, link);
            Add(0, gateway, 0, RouteUpThroughGateway, null);
        }

        void Add(uint destination, uint through, uint mask, short flags, byte* device)
        {
            // struct rtentry: a long, then destination, gateway and mask as sockaddr of 16 bytes each, then the flags; near the end the device's name.
            var route = stackalloc byte[RouteSize];
            var span = new Span<byte>(route, RouteSize);
            span.Clear();
            WriteAddress(span[8..], destination);
            WriteAddress(span[24..], through);
            WriteAddress(span[40..], mask);
            BinaryPrimitives.WriteInt16LittleEndian(span[56..], flags);
            *(byte**)(route + RouteDeviceOffset) = device;
            if (Libc.DeviceControl(_control, AddRoute, route) != 0)
            {
                throw Libc.Failure("Adding a route of a sandbox");
            }
        }
    }

    private delegate void RequestBody(Span<byte> body);
}
