using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Frusta.Sandboxes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>A network namespace at the other end of a link, with an address and a listener: what a sandbox sees as another host.</summary>
internal sealed class OtherHost : IDisposable
{
    private const string Link = "frustatest0";
    private readonly SafeFileHandle _network;
    private readonly string _address;

    internal OtherHost(string address, string hostAddress)
    {
        _address = address;
        _network = Inside(static () => File.OpenHandle("/proc/thread-self/ns/net"), enter: null);
        var network = $"/proc/{Environment.ProcessId}/fd/{_network.DangerousGetHandle()}";
        Run("ip", $"link add {Link} type veth peer name eth0 netns {network}");
        Run("ip", $"addr add {hostAddress}/32 peer {address}/32 dev {Link}");
        Run("ip", $"link set {Link} up");
        Run("nsenter", $"--net={network} ip addr add {address}/32 peer {hostAddress}/32 dev eth0");
        Run("nsenter", $"--net={network} ip link set eth0 up");
    }

    internal Socket Listen(int port) => Inside(
        () =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Parse(_address), port));
            socket.Listen();
            return socket;
        },
        _network);

    public void Dispose()
    {
        Run("ip", $"link delete {Link}");
        _network.Dispose();
    }

    /// <summary>Runs on a thread of its own, in the given namespace or in a new one.</summary>
    private static T Inside<T>(Func<T> what, SafeFileHandle? enter)
    {
        T? result = default;
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                var error = enter is null ? Libc.Unshare(Libc.NewNetworkNamespace) : Libc.SetNamespace(enter, Libc.NewNetworkNamespace);
                result = error == 0 ? what() : throw Libc.Failure("Entering the other host");
            }
            catch (Exception thrown) when (thrown is IOException or SocketException)
            {
                failure = thrown;
            }
        });
        thread.Start();
        thread.Join();
        return failure is null ? result! : throw failure;
    }

    private static void Run(string tool, string arguments)
    {
        using var process = Process.Start(Tool.Find(tool)!, arguments);
        process.WaitForExit();
        Assert.Equal($"{tool} {arguments}: 0", $"{tool} {arguments}: {process.ExitCode}");
    }
}
