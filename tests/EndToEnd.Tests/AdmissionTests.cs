using System.Net.Sockets;
using System.Text;

namespace Frusta.EndToEnd.Tests;

/// <summary>What is decided before a body is there holds for what comes after it.</summary>
public sealed class AdmissionTests
{
    private const int Allowed = 5;
    private const int Callers = 40;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("actions/kept?blocking=true")]
    [InlineData("actions/kept")]
    public async Task No_more_calls_pass_than_may_be_in_flight_although_their_bodies_come_byte_by_byte(string target)
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(
            folder.Sub("data"),
            ["--Limits:InvocationsPerMinute=100000", $"--Limits:ConcurrentInvocations={Allowed}", "--Invoker:StemCells:nodejs:Count=0"],
            stockRates: true);
        await server.PutActionAsync("kept", "function main() { return {here: true}; }");
        var body = Encoding.ASCII.GetBytes("""{"a": "byte by byte"}""");
        var callers = new List<Socket>();
        try
        {
            for (var i = 0; i < Callers; i++)
            {
                callers.Add(await BeginAsync(server.Port, target, body.Length));
            }

            foreach (var one in body.AsMemory(0, body.Length - 1).ToArray())
            {
                callers.ForEach(caller => Send(caller, one));
            }

            // All but those that may be in flight have their answer although none of the bodies is whole.
            var refused = await AnsweredAsync(callers, Callers - Allowed);
            Assert.All(refused, answer => Assert.StartsWith("HTTP/1.1 429 ", answer.Value, StringComparison.Ordinal));
            Assert.All(refused, answer => Assert.Contains($"(count: {Allowed}, allowed: {Allowed})", answer.Value, StringComparison.Ordinal));

            var admitted = callers.Except(refused.Keys).ToList();
            admitted.ForEach(caller => Send(caller, body[^1]));
            var answers = await AnsweredAsync(admitted, Allowed);
            Assert.All(answers, answer => Assert.StartsWith("HTTP/1.1 20", answer.Value, StringComparison.Ordinal));
        }
        finally
        {
            callers.ForEach(caller => caller.Dispose());
        }
    }

    [Fact]
    public async Task Clients_that_go_away_before_their_bodies_are_whole_leave_their_places_to_others()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(
            folder.Sub("data"),
            ["--Limits:InvocationsPerMinute=100000", $"--Limits:ConcurrentInvocations={Allowed}", "--Invoker:StemCells:nodejs:Count=0"],
            stockRates: true);
        await server.PutActionAsync("kept", "function main() { return {here: true}; }");
        for (var round = 0; round < 3; round++)
        {
            var callers = new List<Socket>();
            while (callers.Count < Allowed)
            {
                callers.Add(await BeginAsync(server.Port, "actions/kept?blocking=true", 10));
                Send(callers[^1], (byte)'{');
            }

            while ((await server.PostAsync("actions/kept", cancellationToken: Cancelled)).Status != 429)
            {
                // the places are not all taken yet
            }

            callers.ForEach(caller => caller.Dispose());
            while ((await server.PostAsync("actions/kept?blocking=true", cancellationToken: Cancelled)).Status == 429)
            {
                // the server has not seen yet that they are gone
            }
        }
    }

    private static async Task<Socket> BeginAsync(int port, string target, int length)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync("127.0.0.1", port, Cancelled);
        var head = $"""
            POST /api/v1/namespaces/_/{target} HTTP/1.1
            Host: 127.0.0.1
            Authorization: Basic {Convert.ToBase64String(Encoding.ASCII.GetBytes(ServerProcess.GuestKey))}
            Content-Type: application/json
            Content-Length: {length}


            """.ReplaceLineEndings("\r\n");
        await socket.SendAsync(Encoding.ASCII.GetBytes(head), Cancelled);
        return socket;
    }

    private static void Send(Socket socket, byte one)
    {
        try
        {
            socket.Send([one]);
        }
        catch (SocketException)
        {
            // It was refused, and the server closed it.
        }
    }

    /// <summary>The answers of so many of them, as soon as they are there.</summary>
    private static async Task<Dictionary<Socket, string>> AnsweredAsync(IReadOnlyCollection<Socket> callers, int count)
    {
        var answers = new Dictionary<Socket, string>();
        var began = TimeProvider.System.GetTimestamp();
        while (answers.Count < count)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromSeconds(30), $"{answers.Count} of {count} were answered.");
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, Cancelled);
            foreach (var caller in callers.Where(caller => !answers.ContainsKey(caller) && caller.Poll(0, SelectMode.SelectRead)))
            {
                var buffer = new byte[4096];
                answers[caller] = Encoding.UTF8.GetString(buffer, 0, await caller.ReceiveAsync(buffer, Cancelled));
            }
        }

        return answers;
    }
}
