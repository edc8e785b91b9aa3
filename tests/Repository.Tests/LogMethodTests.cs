using System.Reflection;
using Microsoft.Extensions.Logging;

namespace Frusta.Repository.Tests;

/// <summary>Log methods as they are in the built assemblies, private ones and those of nested classes among them.</summary>
public sealed class LogMethodTests
{
    // A room's event ids have its place here, counted from one, as their thousand.
    private static readonly string[] Rooms = ["Contracts", "Journal", "Bus", "Store", "Sandboxes", "Runtimes", "Invoker", "Controller", "Server", "Sockets"];

    private static readonly (string Room, MethodInfo Method, LoggerMessageAttribute Message)[] Methods =
    [
        .. from room in Rooms
           from type in Assembly.Load(room is "Server" ? "frusta" : $"Frusta.{room}").GetTypes()
           from method in type.GetMethods(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly)
           let message = method.GetCustomAttribute<LoggerMessageAttribute>()
           where message is not null
           select (room, method, message),
    ];

    [Fact]
    public void Every_room_and_every_log_method_in_its_files_is_looked_at()
    {
        var sources = Tree.Files.Where(static file => file.StartsWith("src/", StringComparison.Ordinal)).ToList();
        Assert.Equal(
            sources.Where(static file => file.EndsWith(".csproj", StringComparison.Ordinal)).Select(static file => Path.GetFileNameWithoutExtension(file)).Order(StringComparer.Ordinal),
            Rooms.Order(StringComparer.Ordinal));
        Assert.Equal(
            sources.Where(static file => file.EndsWith(".cs", StringComparison.Ordinal)).Sum(static file => Tree.Read(file).Split("[LoggerMessage(").Length - 1),
            Methods.Length);
    }

    [Fact]
    public void Event_ids_are_unique_and_in_their_rooms_thousand()
    {
        var unplaced = Methods.Where(static each => each.Message.EventId / 1000 != Array.IndexOf(Rooms, each.Room) + 1).Select(Show);
        var shared = Methods.GroupBy(static each => each.Message.EventId).Where(static group => group.Count() > 1).SelectMany(static group => group.Select(Show));
        Assert.Empty(unplaced.Concat(shared));
    }

    /// <summary>The level is the attribute's alone: in the name too it would be wrong one day.</summary>
    [Fact]
    public void Their_names_begin_with_Log_and_say_no_level() => Assert.Empty(Methods
        .Where(static each => !each.Method.Name.StartsWith("Log", StringComparison.Ordinal)
            || Enum.GetNames<LogLevel>().Any(level => each.Method.Name.StartsWith($"Log{level}", StringComparison.Ordinal)))
        .Select(Show));

    private static string Show((string Room, MethodInfo Method, LoggerMessageAttribute Message) each) =>
        FormattableString.Invariant($"{each.Message.EventId}: {each.Method.DeclaringType}.{each.Method.Name}");
}
