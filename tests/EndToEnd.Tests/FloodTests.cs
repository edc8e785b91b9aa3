using System.Net.Sockets;

namespace Frusta.EndToEnd.Tests;

/// <summary>Clients that connect, say nothing and need no key for it.</summary>
public sealed class FloodTests
{
    private const string Refused = "Connections were refused";

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Silent_clients_never_take_the_last_open_file_so_that_sandboxes_still_start()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"), ["--Invoker:StemCells:nodejs:Count=0"], shell: "ulimit -n 512; exec \"$@\"");
        Assert.Contains("at most 72 connections at a time instead of 10000", server.Output, StringComparison.Ordinal);
        await server.PutActionAsync("kept", "function main() { return {here: true}; }"); // the connection that this is sent on stays

        var silent = await ConnectAsync(server.Port, 2000);
        try
        {
            await Eventually.TrueAsync(() => silent.Count(static socket => Closes(socket, TimeSpan.Zero)) >= 2000 - 72);

            var (status, body) = await server.PostAsync("actions/kept?blocking=true&result=true", cancellationToken: Cancelled);

            Assert.Equal(200, status);
            Assert.True(body.GetProperty("here").GetBoolean());
            Assert.DoesNotContain("no open file left", server.Output, StringComparison.Ordinal);
        }
        finally
        {
            silent.ForEach(static socket => socket.Dispose());
        }
    }

    [Fact]
    public async Task A_flood_of_refused_connections_is_one_line_in_ten_seconds()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"), ["--Server:MaxConnections=1"]);
        var began = TimeProvider.System.GetTimestamp();

        var silent = await ConnectAsync(server.Port, 100);
        await Eventually.TrueAsync(() => silent.Count(static socket => Closes(socket, TimeSpan.Zero)) >= 99);
        Assert.Equal(99, silent.Count(static socket => Closes(socket, TimeSpan.FromSeconds(1)))); // and one stays
        silent.ForEach(static socket => socket.Dispose());

        var lines = server.Output.Split('\n').Count(static line => line.Contains(Refused, StringComparison.Ordinal));
        Assert.InRange(lines, 1, 1 + (int)(TimeProvider.System.GetElapsedTime(began).TotalSeconds / 10));
    }

    [Fact]
    public async Task Too_few_open_files_to_work_with_are_refused_in_words()
    {
        using var folder = new TemporaryFolder();

        var (exitCode, output) = await ServerProcess.RefusedAsync(folder.Sub("data"), [], shell: "ulimit -n 200; exec \"$@\"");

        Assert.Equal(1, exitCode);
        Assert.Contains("may have 200 open files, but the server needs at least 512: raise it with `ulimit -n`", output, StringComparison.Ordinal);
    }

    private static async Task<List<Socket>> ConnectAsync(int port, int count)
    {
        var sockets = new List<Socket>();
        for (var i = 0; i < count; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            sockets.Add(socket);
            await socket.ConnectAsync("127.0.0.1", port, Cancelled);
        }

        return sockets;
    }

    /// <summary>True when the server has closed it, or does so in this time.</summary>
    private static bool Closes(Socket socket, TimeSpan within)
    {
        try
        {
            return socket.Poll(within, SelectMode.SelectRead) && socket.Receive(new byte[1]) == 0;
        }
        catch (SocketException)
        {
            return true;
        }
    }
}
